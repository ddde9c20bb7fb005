"""A user's own optimizers, models and datasets, as `module:name`: found, and checked against their signatures."""

import contextlib
import difflib
import functools
import importlib
import inspect
import json
import math
import operator
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, model_validator

from harness.config.base import FrozenModel
from harness.errors import BadInputError, unknown

MANY = 20  # names for one line
PLAIN = (bool, int, float, str, type(None), list, tuple, dict, Any)  # of which a config's values are
OURS = ("harness", "studies", "reports", "experiments")


OwnName = Annotated[str, Field(pattern=r"^[^\W\d][\w.]*:[^\W\d][\w.]*$")]


class OwnConfig(FrozenModel):
    """A user's own class or function, `module:name`, with its keyword arguments, which are plain values.

    Those that are left out have the defaults of its signature, as far as these are plain.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    first_argument: ClassVar[int] = 0  # of its signature that a config can give

    name: OwnName

    @model_validator(mode="before")
    @classmethod
    def _as_its_signature_has_it(cls, values: Any) -> Any:  # noqa: ANN401
        return with_defaults(values, cls.model_fields, cls.first_argument) if isinstance(values, Mapping) else values

    @property
    def arguments(self) -> dict[str, Any]:
        """What it is called with; a list as the tuple that a signature's default is."""
        return {key: tuple(each) if isinstance(each, list) else each for key, each in self.__pydantic_extra__.items()}


def own_or(ours: str) -> Callable[[Any], str]:
    """Which of two kinds of config a value is of: a user's own has a colon in its name."""

    def kind(value: Any) -> str:  # noqa: ANN401
        name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
        return "own" if isinstance(name, str) and ":" in name else ours

    return kind


def find(name: str) -> Any:  # noqa: ANN401
    """What `module:name` is.

    Raises:
        BadInputError: there is no such module, it can't be imported, or has nothing of that name; or it is
            `__main__`, which neither a worker nor a resumed run finds again.
    """
    module_name, _, path = name.partition(":")
    if module_name == "__main__":
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


def defaults(name: str, first: int) -> dict[str, Any]:
    """The plain defaults of its signature, whose first `first` arguments are not for a config to give."""
    return {each.name: _listed(each.default) for each in _arguments(name, first) if _is_plain(each.default)}


def with_defaults(values: Mapping[str, Any], fields: Collection[str], first: int) -> dict[str, Any]:
    """`values` with the defaults of what they name. `fields` are those that are no arguments of it.

    Raises:
        BadInputError: it isn't there, takes no such argument, needs one that is missing, or one is of another type
            than its signature says.
    """
    name = str(values.get("name"))
    if ":" not in name:
        return dict(values)
    arguments = _arguments(name, first)
    names = [each.name for each in arguments]
    for clash in sorted({*names} & {*fields}):
        raise BadInputError(
            "name",
            name,
            f"takes an argument {clash!r}, which is the config's own",
            expected="another name of that argument",
            next_step="rename it",
        )
    for key in values:
        if key not in names and key not in fields:
            raise unknown(f"argument of {name!r}", str(key), [*names, *sorted(fields)], "correct it")
    for each in arguments:
        if each.name in values:
            _require_fitting(name, each, _listed(values[each.name]))
        elif each.default is inspect.Parameter.empty:
            raise BadInputError(
                "name",
                name,
                f"has no value of {each.name!r}",
                expected="one, as its signature has it",
                next_step="give one",
            )
    return defaults(name, first) | {key: _listed(value) for key, value in values.items()}


def admits(name: str, argument: str, value: Any) -> bool:  # noqa: ANN401
    """Whether an argument of what `module:name` is can have that value, by its annotation or else its default.

    Raises:
        BadInputError: `module:name` isn't there.
    """
    return all(_fits(_kind(each), _listed(value)) for each in _arguments(name, 0) if each.name == argument)


def _arguments(name: str, first: int) -> list[inspect.Parameter]:
    found = find(name)
    try:
        signature = _signature(found)
    except (TypeError, ValueError):
        raise BadInputError(
            "name", name, "can't be called", expected="a class or a function", next_step="name another"
        ) from None
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [each for each in list(signature.parameters.values())[first:] if each.kind in by_name]


def _signature(found: Any) -> inspect.Signature:  # noqa: ANN401
    try:
        return inspect.signature(found, eval_str=True)
    except Exception:  # what its annotations name may be there for type checkers alone
        return inspect.signature(found)


def _require_fitting(name: str, argument: inspect.Parameter, value: Any) -> None:  # noqa: ANN401
    kind = _kind(argument)
    if not _fits(kind, value):
        raise BadInputError(
            f"argument {argument.name!r} of {name!r}",
            value,
            expected=f"{inspect.formatannotation(kind)}, as its signature has it",
        )


def _kind(argument: inspect.Parameter) -> Any:  # noqa: ANN401
    """The type of an argument's values: what is plain of its annotation, or else what its default is."""
    kind = _plain_part(argument.annotation)
    if argument.default is inspect.Parameter.empty or not _is_plain(argument.default):
        return Any if kind is None else kind
    if kind is None:
        return _kind_of(argument.default)
    # an annotation may leave out what its default is, most often None
    return kind if _fits(kind, _listed(argument.default)) else kind | _kind_of(argument.default)


def _plain_part(annotation: Any) -> Any:  # noqa: ANN401
    """What of an annotation a config can give: of `float | Tensor` it is float. None where that is nothing."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation in PLAIN or origin is Literal:
        return annotation
    plain = [each if each is Ellipsis else _plain_part(each) for each in parts]
    if origin in (Union, UnionType):
        plain = [each for each in plain if each is not None]
        return functools.reduce(operator.or_, plain) if {*plain} - {type(None)} else None
    if origin in (list, tuple, dict, Sequence) and None not in plain:
        return origin[tuple(plain)]
    return None


def _kind_of(default: Any) -> Any:  # noqa: ANN401
    """The type of a plain default, as it is meant: a whole number may stand for any, and None for anything."""
    if default is None:
        return Any
    if isinstance(default, list | tuple):
        return list[functools.reduce(operator.or_, map(_kind_of, default))] if default else list  # type: ignore[misc]
    if isinstance(default, bool | str):
        return bool if isinstance(default, bool) else str
    return float


def _fits(kind: Any, value: Any) -> bool:  # noqa: ANN401
    """Whether a value is of a type as JSON has them: a list is a tuple, too, and a whole number a float."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        return True  # no plain value at all, which the config's own type says
    try:
        _adapter(kind).validate_json(text, strict=True)
    except ValidationError:
        # 0 and 1 are the truth values that Python takes for them
        return type(value) is int and value in (0, 1) and _fits(kind, bool(value))
    return True


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401
    return TypeAdapter(kind)


def _listed(value: Any) -> Any:  # noqa: ANN401
    """A tuple as the list that JSON makes of it."""
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value


def _is_plain(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


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
