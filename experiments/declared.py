"""List the declared experiments with their descriptions, read from their files only.

The files are not validated, imported or run: that would take most of a second, which is too slow for a list.
"""

import ast
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import BadInputError


class Description(NamedTuple):
    """Hold the description in an experiment's file; a text that the file leaves out is empty."""

    kind: str
    shows: str
    cost: str
    result: str


def names() -> list[str]:
    """Return the names of the declared experiments, in alphabetical order."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in files("experiments").iterdir() if entry.name.endswith(".toml")
    )


def read(name: str) -> dict[str, Any]:
    """Return the values of the declared experiment's TOML file; `name` is one of `names()`.

    Raises:
        BadInputError: the file is not valid TOML.
    """
    return _parsed(name, (files("experiments") / f"{name}.toml").read_bytes())


def read_file(path: Path) -> dict[str, Any]:
    """Return the values of a user's TOML file.

    Raises:
        BadInputError: the file can't be read, or is not valid TOML.
    """
    try:
        return _parsed(str(path), path.read_bytes())
    except OSError as error:
        raise BadInputError("experiment", str(path), f"can't be read ({error.strerror})") from None


def is_file(name: str) -> bool:
    """Return whether an experiment's name is the path of a user's file; its suffix decides."""
    return name.endswith((".toml", ".py"))


def describe(name: str) -> Description:
    """Return the description of the declared experiment with this name."""
    return _description(read(name))


def in_folder(folder: Path) -> dict[str, Description]:
    """Return the descriptions of the experiments in a folder, by path; other files are left out.

    Raises:
        BadInputError: the folder does not exist, or a TOML file in it can't be read.
    """
    if not folder.is_dir():
        raise BadInputError("folder", str(folder), "does not exist", next_step="correct its path")
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".toml":
            values = read_file(path)
            if values.get("kind") in ("run", "sweep"):
                found[str(path)] = _description(values)
        elif path.suffix == ".py" and (described := _described_study(path)):
            found[str(path)] = described
    return found


def _parsed(name: str, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except ValueError as error:  # not valid TOML, or not UTF-8
        raise BadInputError(
            "experiment", name, f"can't be read ({error})", expected="a valid TOML file", next_step="correct the file"
        ) from None


def _description(values: dict[str, Any]) -> Description:
    return Description(*(str(values.get(field, "")) for field in Description._fields))


def _described_study(path: Path) -> Description | None:
    """Return the description of a Python file that assigns `sweep` or `run`; None for any other file."""
    try:
        module = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    assigned = {
        target.id
        for statement in module.body
        for target in (
            statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        )
        if isinstance(target, ast.Name)
    }
    kind = next((kind for kind in ("sweep", "run") if kind in assigned), None)
    shows = (ast.get_docstring(module) or "").partition("\n")[0]
    return Description(kind, shows, "", "") if kind else None
