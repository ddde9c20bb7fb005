"""What can go wrong, as a small tree: each error is one line for a person, and says who can do something about it."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Self

BRIEF = 200  # characters of an error's text


class NOTHING:
    """The value of a field that has none: a class, so that it is the same one in another process."""


class HarnessError(Exception):
    """What this package raises for a person to read, in one line. `exit_code` is what the command ends with."""

    exit_code = 1


class RefusedError(HarnessError):
    """What is refused before anything is done.

    Its line is `WHERE: FIELD VALUE PROBLEM: expected EXPECTED; NEXT_STEP`, each part as far as it is given. `also`
    are further refusals of the same input, which the line has before its next step. A parameter of a function is
    named in backticks (`` `data_dir` ``), for which the command line says its own flag.
    """

    exit_code = 2

    def __init__(
        self,
        field: str,
        value: object = NOTHING,
        problem: str = "",
        *,
        expected: str = "",
        next_step: str = "",
        where: str = "",
        also: Sequence["RefusedError"] = (),
    ) -> None:
        self.field = field
        self.value = None if value is NOTHING else value
        self.problem = problem
        self.expected = expected
        self.next_step = next_step
        self.where = where
        self._parts: dict[str, Any] = {
            "field": field,
            "value": value,
            "problem": problem,
            "expected": expected,
            "next_step": next_step,
            "where": where,
            "also": also,
        }
        shown = "" if value is NOTHING else f" {value!r}"
        what = f"{f'{where}: ' if where else ''}{field}{shown}{f' {problem}' if problem else ''}"
        first = f"{what}: expected {expected}" if expected else what
        self.without_next_step: str = "; ".join([first, *(each.without_next_step for each in also)])
        super().__init__(f"{self.without_next_step}; {next_step}" if next_step else self.without_next_step)

    def but(self, **parts: Any) -> Self:  # noqa: ANN401
        """Return the same refusal with other parts, such as another `next_step`."""
        return type(self)(**(self._parts | parts))

    def within(self, where: str) -> Self:
        """Return the same refusal as one of what is in `where`, such as an experiment."""
        return self.but(where=f"{where}: {self.where}" if self.where else where)


class BadInputError(RefusedError, ValueError):
    """What was given can't be used."""


class DamagedFileError(RefusedError):
    """A file is there, and is not what was written or published."""


class BusyError(RefusedError):
    """Another process is at a run or sweep."""


class StoreAwayError(HarnessError, ConnectionError):
    """The tracking store does not answer, or has no room, and may later. `why` is what it, or the system, raised."""

    def __init__(self, why: BaseException) -> None:
        # an error of MLflow's or SQLAlchemy's is named alone: its text is long, and may hold a password
        reason = why.strerror if isinstance(why, OSError) and why.strerror else type(why).__name__
        super().__init__(f"the tracking store is away ({reason}); run again when it is back")


class WorkFailedError(HarnessError, RuntimeError):
    """A run failed: which, and why, in one line."""

    def __init__(self, run_id: str, what: str) -> None:
        super().__init__(f"{what} (run {run_id})")
        self.run_id = run_id
        self.what = what


def unknown(field: str, value: str, names: Iterable[str], next_step: str) -> BadInputError:
    """Return the error for a name that isn't one of `names`, with a suggestion where one is close."""
    names = sorted(names)
    return BadInputError(
        field,
        value,
        "is unknown",
        expected=f"one of {', '.join(names)}" if names else "",
        next_step=f"{did_you_mean(value, names)}{next_step}",
    )


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


class SweepStopped(KeyboardInterrupt):
    """A sweep was stopped before its end, and what there is of it is recorded under `sweep_id`."""

    def __init__(self, sweep_id: str) -> None:
        super().__init__(sweep_id)
        self.sweep_id = sweep_id
