"""A user's own part as `module:name`: imported, and what hides or resembles it where it can't be."""

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

MANY = 20  # names for one line
OURS = ("harness", "studies", "reports", "experiments")


def find(name: str) -> Any:  # noqa: ANN401
    """What `module:name` is.

    Raises:
        BadInputError: there is no such module, it can't be imported, or has nothing of that name; or it is of a
            `__main__` that is not this process's, such as a worker's or a resumed run's.
    """
    module_name, _, path = name.partition(":")
    if module_name == "__main__" and not hasattr(sys.modules["__main__"], path.partition(".")[0]):
        raise BadInputError(
            "name",
            name,
            "is in no module that a worker or a resumed run can import",
            expected="a module's name before the colon",
            next_step="put it into a file of its own",
        )
    if not all(each.isidentifier() for each in module_name.split(".")):
        raise _not_importable(name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the command's result
            module = importlib.import_module(module_name)
    except Exception as error:
        next_step = hidden_folder(error) or "install it, or run in the folder that has it"
        raise BadInputError(
            "name",
            name,
            f"has a module that can't be imported ({in_one_line(error)})",
            expected="one that Python finds; the command looks in the current folder, too",
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
                f"is not there: module {module_name!r} is {place(module)}, which has no {path!r} and hides "
                f"{str(hidden)!r}",
                next_step="rename that one, or correct the name",
            ) from None
        raise unknown(f"name in module {module_name!r}", path, _like(path, module), "correct it") from None


def in_one_line(error: Exception) -> str:
    """Return kind and text of what an import raised."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def hidden_folder(error: Exception) -> str:
    """Return which folder a failed import meant, where one of our packages hides it by its name, and what to do."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if package not in OURS:
        return ""
    ours = Path(__file__).parents[2] / package
    folders = (Path(place, package) for place in sys.path)
    hidden = next((each for each in folders if each.is_dir() and not each.samefile(ours)), None)
    if hidden is None:
        return ""
    return (
        f"folder {str(hidden.absolute())!r} is called as a package of the harness, which is imported instead; "
        "rename the folder"
    )


def place(module: ModuleType) -> str:
    """Where a module was imported from, in words."""
    file = getattr(module, "__file__", None)
    return f"the file {file!r}" if file else "a part of Python itself"


def _not_importable(name: str) -> BadInputError:
    """The error for a module's name that isn't one, with the name that it could have."""
    module_name, _, path = name.partition(":")
    stem = Path(module_name).name.removesuffix(".py")
    better = re.sub(r"^(?=\d)|\W", "_", stem)
    next_step = f"say '{better}:{path}'" if better == stem else f"rename its file to {better}.py"
    return BadInputError(
        "name",
        name,
        "has a module that Python can't import by its name",
        expected="letters, digits and underscores",
        next_step=next_step,
    )


def _hidden_by(module: ModuleType) -> Path | None:
    """A file or a package's folder that would be that module, were there not the other of its name."""
    file = getattr(module, "__file__", None)
    for folder in sys.path:
        path = Path(folder, *module.__name__.split("."))
        for each in (path.with_suffix(".py"), path / "__init__.py"):
            if each.is_file() and not (file and each.samefile(file)):
                return path if each.parent == path else each
    return None


def _like(path: str, module: Any) -> list[str]:  # noqa: ANN401
    """What the module itself defines, or, where that is much or nothing, what in it is called alike."""
    public = {name: each for name, each in vars(module).items() if not name.startswith("_")}
    defined = [name for name, each in public.items() if getattr(each, "__module__", None) == module.__name__]
    if 0 < len(defined) <= MANY:
        return defined
    by_folded_name = {name.casefold(): name for name in public}
    return [by_folded_name[name] for name in difflib.get_close_matches(path.casefold(), by_folded_name)]
