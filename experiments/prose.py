"""Sentences on a terminal and in a pipe."""

import shutil
import sys
import textwrap

import typer


def say(text: str, err: bool = False) -> None:
    """On a terminal, broken between words, never within a path or an id; in a pipe, one line."""
    if (sys.stderr if err else sys.stdout).isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    typer.echo(text, err=err)
