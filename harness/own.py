"""A user's own optimizers, models and datasets, as `module:name`: found, and checked against their signatures."""

import difflib
import functools
import importlib
import inspect
import math
from collections.abc import Collection, Mapping
from typing import Any

from harness.errors import BadInputError, unknown

MANY = 20  # names for one line
WHERE = "it is looked for where Python's modules are; the command looks in the current folder, too"


def find(name: str) -> Any:  # noqa: ANN401
    """What `module:name` is.

    Raises:
        BadInputError: there is no such module, it can't be imported, or has nothing of that name; or it is
            `__main__`, which neither a worker nor a resumed run finds again.
    """
    module_name, _, path = name.partition(":")
    if module_name == "__main__":
        raise BadInputError(
            f"{name!r} is in no module that a worker or a resumed run can import: a module's name is allowed before "
            "the colon; put it into a file of its own"
        )
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInputError(
            f"{name!r}: module {module_name!r} can't be imported ({text}): {WHERE}; install it, or run in the folder "
            "that has it"
        ) from None
    try:
        return functools.reduce(getattr, path.split("."), module)
    except AttributeError:
        raise unknown(f"name in module {module_name!r},", path, _like(path, module), "correct it") from None


def defaults(name: str, first: int) -> dict[str, Any]:
    """The plain defaults of its signature, whose first `first` arguments are not for a config to give."""
    return {each.name: _listed(each.default) for each in _arguments(name, first) if _is_plain(each.default)}


def with_defaults(values: Mapping[str, Any], fields: Collection[str], first: int) -> dict[str, Any]:
    """`values` with the defaults of what they name. `fields` are those that are no arguments of it.

    Raises:
        BadInputError: it isn't there, takes no such argument, or needs one that is missing.
    """
    name = str(values.get("name"))
    if ":" not in name:
        return dict(values)
    arguments = _arguments(name, first)
    names = [each.name for each in arguments]
    for clash in sorted({*names} & {*fields}):
        raise BadInputError(f"{name!r} takes an argument {clash!r}, which is the config's own; call it otherwise")
    for key in values:
        if key not in names and key not in fields:
            raise unknown(f"argument of {name!r},", str(key), [*names, *sorted(fields)], "correct it")
    for each in arguments:
        if each.default is inspect.Parameter.empty and each.name not in values:
            raise BadInputError(f"{name!r} needs a value of {each.name!r}; give one")
    return defaults(name, first) | {key: _listed(value) for key, value in values.items()}


def _arguments(name: str, first: int) -> list[inspect.Parameter]:
    found = find(name)
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        raise BadInputError(f"{name!r} can't be called: a class or a function is allowed; name another") from None
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [each for each in list(signature.parameters.values())[first:] if each.kind in by_name]


def _listed(value: Any) -> Any:  # noqa: ANN401
    """A tuple as the list that JSON makes of it."""
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value


def _is_plain(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _like(path: str, module: Any) -> list[str]:  # noqa: ANN401
    """What the module itself defines, or, where that is much or nothing, what in it is called alike."""
    public = {name: each for name, each in vars(module).items() if not name.startswith("_")}
    defined = [name for name, each in public.items() if getattr(each, "__module__", None) == module.__name__]
    if 0 < len(defined) <= MANY:
        return defined
    by_folded_name = {name.casefold(): name for name in public}
    return [by_folded_name[name] for name in difflib.get_close_matches(path.casefold(), by_folded_name)]
