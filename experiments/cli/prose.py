"""Print a command's sentences and JSON documents."""

import json
import shutil
import sys
import textwrap
from typing import Any

import typer


def say(text: str, err: bool = False, indent: int = 0) -> None:
    """Print a text: on a terminal, wrapped between words, so that paths and ids stay whole; in a pipe, as one line.

    Each further line of a wrapped text begins with `indent` spaces.
    """
    if (sys.stderr if err else sys.stdout).isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(
            text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        )
    typer.echo(text, err=err)


def print_json(value: Any) -> None:  # noqa: ANN401
    """Print one JSON document on stdout."""
    typer.echo(json.dumps(value, indent=2))
