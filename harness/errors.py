"""What can go wrong, for a person: bad input (exit code 2) and work that failed (exit code 1), a line each."""

import difflib
import re
from collections.abc import Iterable


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
    close = difflib.get_close_matches(value, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return BadInputError(f"{thing} {value!r} is unknown: {hint}allowed: {', '.join(names)}; {next_step}")


def without_password(text: str) -> str:
    """`text`, with the passwords of the addresses in it as stars.

    Whatever is between a colon and an @ may be one: SQLAlchemy takes one with a slash in it, too.
    """
    text = re.sub(r"(://[^:/@\s]*:)[^@\s]*@", r"\1***@", text)
    return re.sub(r"([?&](?:password|passwd|pwd|sslpassword)=)[^&\s]*", r"\1***", text)
