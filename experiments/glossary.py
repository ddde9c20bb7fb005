"""The words of `glossary.md`, each with its entry."""

import re
from difflib import get_close_matches
from importlib.resources import files

from harness.errors import BadInputError

ROW = re.compile(r"^\| \*\*(.+?)\*\* \| (.+) \|$", re.MULTILINE)
NEAREST = 3  # words that are named where one is unknown


def glossary() -> dict[str, str]:
    """Return every word with its entry, in the order of the page."""
    return dict(ROW.findall((files("experiments") / "glossary.md").read_text(encoding="utf-8")))


def explained(word: str) -> tuple[str, str]:
    """Return a word of the glossary, whatever the case and number in which it is asked for, and its entry.

    Raises:
        BadInputError: there is no such word.
    """
    entries = glossary()
    asked = " ".join(word.lower().split())
    for each in (asked, asked.removesuffix("s"), f"{asked.removesuffix('ies')}y"):
        if each in entries:
            return each, entries[each]
    near = " or ".join(map(repr, get_close_matches(asked, entries, NEAREST)))
    suggestion = f"did you mean {near}? " if near else ""
    raise BadInputError(
        "word", word, "is not in the glossary", next_step=f"{suggestion}`harness explain` lists the words"
    )
