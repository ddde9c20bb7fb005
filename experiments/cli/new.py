"""The command that writes a small experiment for a person to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.prose import say
from harness.errors import BadInputError

TEMPLATES = {".toml": "sweep.toml", ".py": "study.py.txt"}


def new(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="mine.toml, or my_study.py with a network of your own.")
    ],
) -> None:
    """Write an experiment of your own.

    It is small and commented, and runs as it is: a TOML or a Python file.
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
        raise BadInputError("file", str(path), "is there already", next_step="choose another name") from None
    except OSError as error:
        raise BadInputError("file", str(path), f"can't be written ({error.strerror})") from None
    say(f"{path} is written; `harness sweep {path}` runs it")
