"""The one exception for bad input: a line for the person, exit code 2, never a traceback."""

import difflib
from collections.abc import Iterable


class BadInputError(ValueError):
    """One line naming the thing, its value, what is allowed and what to do next."""


def unknown(thing: str, value: str, allowed: Iterable[str], next_step: str) -> BadInputError:
    """The error for a name that isn't one of `allowed`, with a suggestion where one is close."""
    names = sorted(allowed)
    close = difflib.get_close_matches(value, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return BadInputError(f"{thing} {value!r} is unknown: {hint}allowed: {', '.join(names)}; {next_step}")
