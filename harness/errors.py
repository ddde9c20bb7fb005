"""What can go wrong, for a person: bad input (exit code 2) and work that failed (exit code 1), a line each."""

import difflib
import re
from collections.abc import Iterable

BRIEF = 200  # characters of an error's text


class BadInputError(ValueError):
    """One line naming the thing, its value, what is allowed and what to do next."""


class WorkFailedError(RuntimeError):
    """A run failed: which, and why, in one line."""

    def __init__(self, run_id: str, what: str) -> None:
        super().__init__(f"{what} (run {run_id})")
        self.run_id = run_id
        self.what = what


def unknown(thing: str, value: str, allowed: Iterable[str], next_step: str) -> BadInputError:
    """The error for a name that isn't one of `allowed`, with a suggestion where one is close."""
    names = sorted(allowed)
    hint = did_you_mean(value, names)
    return BadInputError(f"{thing} {value!r} is unknown: {hint}allowed: {', '.join(names)}; {next_step}")


def did_you_mean(value: str, names: Iterable[str]) -> str:
    """The one of `names` that a misspelt one is close to, as a question; empty where none is."""
    names = list(names)
    parent, _, last = value.rpartition(".")
    siblings = [name.rpartition(".")[2] for name in names if parent and name.rpartition(".")[0] == parent]
    if siblings:  # what comes before them is right, and would make every one of them close
        close = [f"{parent}.{each}" for each in difflib.get_close_matches(last, siblings, n=1)]
    else:
        ends_with_it = [name for name in names if name.endswith(f".{value}")]
        close = difflib.get_close_matches(value, names, n=1) or ends_with_it
    return f"did you mean {close[0]!r}? " if close else ""


def brief(text: str) -> str:
    """`text` of a run's error in one short line: of a traceback the last one, of files in folders the last names."""
    lines = [line for line in text.splitlines() if line.strip()]
    if any(re.match(r'\s+File ".*", line \d+', line) for line in lines):
        lines = lines[-1:]
    folders = r"(?<![\w:/.])(?:[A-Za-z]:)?[/\\]+(?:[^\s/\\'\":,;]+[/\\]+)+"
    return _in_one_line(re.sub(folders, "", " ".join(lines)))


def described(error: BaseException) -> str:
    """Kind and text of an error, in one short line."""
    text = _in_one_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _in_one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= BRIEF else f"{line[: BRIEF - 1].rstrip()}…"


def without_password(text: str) -> str:
    """`text`, with the passwords of the addresses in it as stars.

    Whatever is between a colon and an @ may be one: SQLAlchemy takes one with a slash in it, too.
    """
    text = re.sub(r"(://[^:/@\s]*:)[^@\s]*@", r"\1***@", text)
    return re.sub(r"([?&](?:password|passwd|pwd|sslpassword)=)[^&\s]*", r"\1***", text)
