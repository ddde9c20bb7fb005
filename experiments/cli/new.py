"""Define the command that writes a small example experiment for the user to edit."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.prose import say
from harness.errors import BadInputError

TEMPLATES = {".toml": "sweep.toml", ".py": "study.py.txt"}


def new(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The file to write: mine.toml, or my_study.py for your own network."),
    ],
) -> None:
    """Write an example experiment file.

    The TOML or Python file is small, has comments, and can be run without changes.
    """
    from importlib.resources import files

    from experiments.catalog import require_name

    if path.suffix not in TEMPLATES:
        raise BadInputError("file", str(path), expected="a name that ends with .toml or .py")
    require_name(path)
    text = (files("experiments") / "templates" / TEMPLATES[path.suffix]).read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text.format(path=path, module=path.stem))
    except FileExistsError:
        raise BadInputError("file", str(path), "already exists", next_step="choose another name") from None
    except OSError as error:
        raise BadInputError("file", str(path), f"can't be written ({error.strerror})") from None
    say(f"{path} is written; `harness sweep {path}` runs it")
