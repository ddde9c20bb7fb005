"""What commands print: sentences on a terminal and in a pipe, and JSON."""

import json
import shutil
import sys
import textwrap
from typing import Any

import typer


def say(text: str, err: bool = False, indent: int = 0) -> None:
    """Print a text: on a terminal broken between words, never within a path or an id; in a pipe in one line.

    Lines after a break begin with so many spaces.
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
