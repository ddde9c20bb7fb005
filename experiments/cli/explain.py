"""Define the command that explains a word of the glossary."""

from typing import Annotated

import typer

from experiments.cli.options import Json
from experiments.cli.prose import print_json, say


def explain(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORD", help="A word of the glossary, such as published start.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain a word, or list the words."""
    from experiments.glossary import explained, glossary

    if not words:
        entries = glossary()
        if as_json:
            print_json(entries)
        else:
            say(", ".join(entries))
        return
    word, text = explained(" ".join(words))
    if as_json:
        print_json({"word": word, "text": text})
    else:
        say(f"{word}: {text}")
