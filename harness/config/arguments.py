"""The arguments that a config gives a user's own part, checked against its signature."""

import functools
import inspect
import json
import math
import operator
from collections.abc import Collection, Mapping, Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from harness.config.imports import find
from harness.errors import BadInputError, unknown

PLAIN = (bool, int, float, str, type(None), list, tuple, dict, Any)  # of which a config's values are


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
