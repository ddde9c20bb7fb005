"""Look up the words of `glossary.md`."""

import re
from difflib import get_close_matches
from importlib.resources import files

from harness.errors import BadInputError

ROW = re.compile(r"^\| \*\*(.+?)\*\* \| (.+) \|$", re.MULTILINE)
NEAREST = 3  # suggestions for an unknown word


def glossary() -> dict[str, str]:
    """Return every word with its entry, in the order of the page."""
    return dict(ROW.findall((files("experiments") / "glossary.md").read_text(encoding="utf-8")))


def explained(word: str) -> tuple[str, str]:
    """Return the glossary's spelling of a word, and its entry; `word` may be in upper case or in the plural.

    Raises:
        BadInputError: the glossary does not have the word.
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
