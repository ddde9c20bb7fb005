"""Import a user's own class or function by its name, `module:name`, and explain why an import fails."""

import contextlib
import difflib
import functools
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import BadInputError, unknown

MANY = 20  # the most names that a message lists
OURS = ("harness", "studies", "reports", "experiments")


def find(name: str) -> Any:  # noqa: ANN401
    """Return the class or function with the name `module:name`.

    Raises:
        BadInputError: the module does not exist, can't be imported, or does not define the name; or the module is
            the `__main__` of another program, which a worker or a resumed run can't import.
    """
    module_name, _, path = name.partition(":")
    if module_name == "__main__" and not hasattr(sys.modules["__main__"], path.partition(".")[0]):
        raise BadInputError(
            "name",
            name,
            "is not in a module that a worker or a resumed run can import",
            expected="the name of a module before the colon",
            next_step="move it to its own file",
        )
    if not all(each.isidentifier() for each in module_name.split(".")):
        raise _not_importable(name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the command's result
            module = importlib.import_module(module_name)
    except Exception as error:
        if module_name.endswith(".py") and isinstance(error, ModuleNotFoundError):  # the name of a file
            raise _not_importable(name) from None
        next_step = hidden_folder(error) or "install the module, or run in the folder that has it"
        raise BadInputError(
            "name",
            name,
            f"has a module that can't be imported ({in_one_line(error)})",
            expected="a module that Python finds, for example in the current folder",
            next_step=next_step,
        ) from None
    try:
        return functools.reduce(getattr, path.split("."), module)
    except AttributeError:
        hidden = _hidden_by(module)
        if hidden is not None:
            raise BadInputError(
                "name",
                name,
                f"is not there: module {module_name!r} is {place(module)}, which does not define {path!r} and hides "
                f"{str(hidden)!r}",
                next_step="rename the hidden file or folder, or correct the name",
            ) from None
        raise unknown(f"name in module {module_name!r}", path, _like(path, module), "correct the name") from None


def in_one_line(error: Exception) -> str:
    """Return the class and text of an error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def hidden_folder(error: Exception) -> str:
    """Return advice if a package of the harness hides the folder that a failed import meant; else an empty text."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if package not in OURS:
        return ""
    ours = Path(__file__).parents[2] / package
    folders = (Path(place, package) for place in sys.path)
    hidden = next((each for each in folders if each.is_dir() and not each.samefile(ours)), None)
    if hidden is None:
        return ""
    return (
        f"folder {str(hidden.absolute())!r} has the name of a package of the harness, which Python imports instead; "
        "rename the folder"
    )


def place(module: ModuleType) -> str:
    """Return in words where a module was imported from."""
    file = getattr(module, "__file__", None)
    return f"the file {file!r}" if file else "a part of Python itself"


def _not_importable(name: str) -> BadInputError:
    """Return the error for a module name that Python can't import, with a valid name as a suggestion."""
    module_name, _, path = name.partition(":")
    stem = Path(module_name).name.removesuffix(".py")
    better = re.sub(r"^(?=\d)|\W", "_", stem)
    next_step = f"write '{better}:{path}'" if better == stem else f"rename its file to {better}.py"
    return BadInputError(
        "name",
        name,
        "has a module that Python can't import by its name",
        expected="letters, digits and underscores",
        next_step=next_step,
    )


def _hidden_by(module: ModuleType) -> Path | None:
    """Return the file or package folder that Python would import under the module's name, if the module were absent.

    None if there is no such file or folder.
    """
    file = getattr(module, "__file__", None)
    for folder in sys.path:
        path = Path(folder, *module.__name__.split("."))
        for each in (path.with_suffix(".py"), path / "__init__.py"):
            if each.is_file() and not (file and each.samefile(file)):
                return path if each.parent == path else each
    return None


def _like(path: str, module: Any) -> list[str]:  # noqa: ANN401
    """Return the names that the module defines; if they are none or too many, the names similar to `path`."""
    public = {name: each for name, each in vars(module).items() if not name.startswith("_")}
    defined = [name for name, each in public.items() if getattr(each, "__module__", None) == module.__name__]
    if 0 < len(defined) <= MANY:
        return defined
    by_folded_name = {name.casefold(): name for name in public}
    return [by_folded_name[name] for name in difflib.get_close_matches(path.casefold(), by_folded_name)]
