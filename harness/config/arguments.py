"""Check the arguments that a config gives to a user's own class or function against its signature."""

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

PLAIN = (bool, int, float, str, type(None), list, tuple, dict, Any)  # the types of a config's values


def defaults(name: str, first: int) -> dict[str, Any]:
    """Return the plain default values of a class or function, `module:name`, by argument name.

    The first `first` arguments are left out, because a config can't give them.

    Raises:
        BadInputError: the class or function does not exist or can't be called.
    """
    return {each.name: _listed(each.default) for each in _arguments(name, first) if _is_plain(each.default)}


def with_defaults(values: Mapping[str, Any], fields: Collection[str], first: int) -> dict[str, Any]:
    """Return `values` with the default arguments of the class or function that `values["name"]` names.

    `fields` are the config's own keys, which are not arguments; the first `first` arguments can't be given.

    Raises:
        BadInputError: the class or function does not exist, does not take an argument, needs an argument that is
            missing, or an argument has another type than in the signature.
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
            f"has an argument {clash!r}, which is a field of the config itself",
            expected="an argument with another name",
            next_step="rename the argument",
        )
    for key in values:
        if key not in names and key not in fields:
            raise unknown(f"argument of {name!r}", str(key), [*names, *sorted(fields)], "correct the name")
    for each in arguments:
        if each.name in values:
            _require_fitting(name, each, _listed(values[each.name]))
        elif each.default is inspect.Parameter.empty:
            raise BadInputError(
                "name",
                name,
                f"needs a value for its argument {each.name!r}",
                expected="a value, since the signature has no default",
                next_step=f"set {each.name}",
            )
    return defaults(name, first) | {key: _listed(value) for key, value in values.items()}


def as_in_signature(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call of the class or function `name`, with new lists and tuples for JSON's lists.

    An argument is what its default is, else what its annotation says; a tuple if neither says it.

    Raises:
        BadInputError: the class or function does not exist or can't be called.
    """
    if not any(isinstance(each, list) for each in values.values()):
        return dict(values)  # so that a recorded config can be read where the code is gone
    arguments = {each.name: each for each in _arguments(name, 0)}
    return {key: _like(_example(arguments[key]), value) for key, value in values.items()}


def admits(name: str, argument: str, value: Any) -> bool:  # noqa: ANN401
    """Return whether an argument of a class or function can have the value, by its annotation, else by its default.

    Raises:
        BadInputError: the class or function `name` does not exist or can't be called.
    """
    return all(_fits(_kind(each), _listed(value)) for each in _arguments(name, 0) if each.name == argument)


def _arguments(name: str, first: int) -> list[inspect.Parameter]:
    found = find(name)
    try:
        signature = _signature(found)
    except (TypeError, ValueError):
        raise BadInputError(
            "name", name, "can't be called", expected="a class or function", next_step="choose another name"
        ) from None
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [each for each in list(signature.parameters.values())[first:] if each.kind in by_name]


def _signature(found: Any) -> inspect.Signature:  # noqa: ANN401
    try:
        return inspect.signature(found, eval_str=True)
    except Exception:  # an annotation may name a type that is imported only for type checkers
        return inspect.signature(found)


def _require_fitting(name: str, argument: inspect.Parameter, value: Any) -> None:  # noqa: ANN401
    kind = _kind(argument)
    if not _fits(kind, value):
        raise BadInputError(
            f"argument {argument.name!r} of {name!r}",
            value,
            expected=f"{inspect.formatannotation(kind)}, as in its signature",
        )


def _kind(argument: inspect.Parameter) -> Any:  # noqa: ANN401
    """Return the type of an argument's values: the plain part of its annotation, else the type of its default."""
    kind = _plain_part(argument.annotation)
    if argument.default is inspect.Parameter.empty or not _is_plain(argument.default):
        return Any if kind is None else kind
    if kind is None:
        return _kind_of(argument.default)
    # an annotation may not include the type of the default, most often None
    return kind if _fits(kind, _listed(argument.default)) else kind | _kind_of(argument.default)


def _plain_part(annotation: Any) -> Any:  # noqa: ANN401
    """Return the types of an annotation that a config can give: float for `float | Tensor`; None if there is none."""
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
    """Return the type that a plain default suggests: float for a whole number, and any type for None."""
    if default is None:
        return Any
    if isinstance(default, list | tuple):
        return list[functools.reduce(operator.or_, map(_kind_of, default))] if default else list  # type: ignore[misc]
    if isinstance(default, bool | str):
        return bool if isinstance(default, bool) else str
    return float


def _fits(kind: Any, value: Any) -> bool:  # noqa: ANN401
    """Return whether a value has a type by JSON's rules: a list is also a tuple, and a whole number also a float."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        return True  # not a plain value: the config's own validation refuses it
    try:
        _adapter(kind).validate_json(text, strict=True)
    except ValidationError:
        # Python also accepts 0 and 1 as truth values
        return type(value) is int and value in (0, 1) and _fits(kind, bool(value))
    return True


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401
    return TypeAdapter(kind)


def _listed(value: Any) -> Any:  # noqa: ANN401
    """Return the value with every tuple as a list, as JSON stores it."""
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value


def _example(argument: inspect.Parameter) -> Any:  # noqa: ANN401
    """Return the default of an argument if it is a list or tuple, else an empty one of its annotation's type."""
    if isinstance(argument.default, list | tuple):
        return argument.default
    annotation = argument.annotation
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return [] if list in {get_origin(each) or each for each in parts} else ()


def _like(example: Any, value: Any) -> Any:  # noqa: ANN401
    """Return the value with each list as a list or a tuple, as at the same place of the example."""
    if not isinstance(value, list):
        return value
    examples = example if isinstance(example, list | tuple) else ()
    inner = [
        _like(examples[min(place, len(examples) - 1)] if examples else [], each) for place, each in enumerate(value)
    ]
    return inner if isinstance(example, list) else tuple(inner)


def _is_plain(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
