"""Define the errors of this package: each has a message of one line, and its class says what kind of error it is."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Self

BRIEF = 200  # characters of an error's text that are shown at most


class NOTHING:
    """Mark a field without a value. It is a class, so that `is` still holds after pickling to another process."""


class HarnessError(Exception):
    """Base of the errors of this package, with a message of one line. `exit_code` is the command's exit code."""

    exit_code = 1


class RefusedError(HarnessError):
    """An input, file or resource was refused before any work was done.

    The message is `WHERE: FIELD VALUE PROBLEM: expected EXPECTED; NEXT_STEP`; parts that are not given are left out.
    `also` are further refusals of the same input, which the message names before its next step. A parameter of a
    function is named in backticks (`` `data_dir` ``); the command line replaces it with its own flag.
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
        """Return the same refusal with `where`, such as an experiment, named in front of it."""
        return self.but(where=f"{where}: {self.where}" if self.where else where)


class BadInputError(RefusedError, ValueError):
    """The input can't be used."""


class DamagedFileError(RefusedError):
    """The file exists, but its content is not what was written or published."""


class BusyError(RefusedError):
    """Another process is working on the run or sweep."""


class StoreAwayError(HarnessError, ConnectionError):
    """The tracking store does not answer or is full; a later try may succeed. `why` is the original exception."""

    def __init__(self, why: BaseException) -> None:
        # for MLflow's and SQLAlchemy's errors only the class is shown: their text is long and may hold a password
        reason = why.strerror if isinstance(why, OSError) and why.strerror else type(why).__name__
        super().__init__(
            f"the tracking store is unavailable ({reason}); run the same command again when it is available"
        )


class WorkFailedError(HarnessError, RuntimeError):
    """A run failed. The message says why, and names the run."""

    def __init__(self, run_id: str, what: str) -> None:
        super().__init__(f"{what} (run {run_id})")
        self.run_id = run_id
        self.what = what


def unknown(field: str, value: str, names: Iterable[str], next_step: str) -> BadInputError:
    """Return the error for a name that isn't one of `names`, with the closest of them as a suggestion."""
    names = sorted(names)
    return BadInputError(
        field,
        value,
        "is unknown",
        expected=f"one of {', '.join(names)}" if names else "",
        next_step=f"{did_you_mean(value, names)}{next_step}",
    )


def did_you_mean(value: str, names: Iterable[str]) -> str:
    """Return "did you mean NAME? " with the closest of `names` to a misspelt name; empty if none is close."""
    names = list(names)
    parent, _, last = value.rpartition(".")
    siblings = [name.rpartition(".")[2] for name in names if parent and name.rpartition(".")[0] == parent]
    if siblings:  # the parent is right: compare the last part alone, or the common beginning makes all names close
        close = [f"{parent}.{each}" for each in difflib.get_close_matches(last, siblings, n=1)]
    else:
        ends_with_it = [name for name in names if name.endswith(f".{value}")]
        close = difflib.get_close_matches(value, names, n=1) or ends_with_it
    return f"did you mean {close[0]!r}? " if close else ""


def brief(text: str) -> str:
    """Return the text of an error as one short line: the last line of a traceback; file names without folders."""
    lines = [line for line in text.splitlines() if line.strip()]
    if any(re.match(r'\s+File ".*", line \d+', line) for line in lines):
        lines = lines[-1:]
    folders = r"(?<![\w:/.])(?:[A-Za-z]:)?[/\\]+(?:[^\s/\\'\":,;]+[/\\]+)+"
    return _in_one_line(re.sub(folders, "", " ".join(lines)))


def described(error: BaseException) -> str:
    """Return the class and text of an error as one short line."""
    text = _in_one_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _in_one_line(text: str) -> str:
    line = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())  # torch colours some of its messages
    return line if len(line) <= BRIEF else f"{line[: BRIEF - 1].rstrip()}…"


def without_password(text: str) -> str:
    """Return `text` with the passwords in its URLs replaced by stars.

    Anything between a colon and an @ counts as a password, because SQLAlchemy accepts passwords with slashes.
    """
    text = re.sub(r"(://[^:/@\s]*:)[^@\s]*@", r"\1***@", text)
    return re.sub(r"([?&](?:password|passwd|pwd|sslpassword)=)[^&\s]*", r"\1***", text)


class SweepStopped(KeyboardInterrupt):
    """A sweep was stopped before its end; what it recorded until then is in the MLflow run `sweep_id`."""

    def __init__(self, sweep_id: str) -> None:
        super().__init__(sweep_id)
        self.sweep_id = sweep_id
