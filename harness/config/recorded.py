"""Read recorded configs without validating them again."""

import ast
import functools
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from harness.config.base import Model
from harness.config.plugins import OwnConfig


def recorded(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """Return recorded plain values as a `kind`; a field that was added later gets its default.

    The values were validated before they were recorded. A second validation would import the user's own code, which
    may be gone, and would refuse values that an earlier version allowed.
    """
    fields = {name: read(values[name]) for name, read in _readers(kind).items() if name in values}
    return kind.model_construct(**{**values, **fields})


def unflatten(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the nested values of texts by dotted key: the inverse of `flatten`.

    A text that is a Python literal becomes its value. So an argument of the user's own code that was the text `'32'`
    becomes the number 32.
    """
    nested: dict[str, Any] = {}
    for key, text in texts.items():
        *parents, leaf = key.split(".")
        target = nested
        for parent in parents:
            target = target.setdefault(parent, {})
        target[leaf] = _literal(text)
    return {key: _with_lists(each) for key, each in nested.items()}


def _with_lists(value: Any) -> Any:  # noqa: ANN401
    """Return the nested values with a list in place of each mapping whose keys are "0", "1", and so on."""
    if not isinstance(value, dict):
        return value
    read = {key: _with_lists(each) for key, each in value.items()}
    return list(read.values()) if list(read) == [str(index) for index in range(len(read))] else read


def _literal(text: str) -> Any:  # noqa: ANN401
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@functools.cache
def _readers(kind: type[BaseModel]) -> dict[str, Callable[[Any], Any]]:
    return {name: _reader(field.annotation) for name, field in kind.model_fields.items()}


def _reader(annotation: Any) -> Callable[[Any], Any]:  # noqa: ANN401
    """Return a function that converts a plain value to the annotated type: a model, a tuple or a float.

    Values of other types stay as they are.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _reader(parts[0])
    if origin in (Union, UnionType):
        models = tuple(_models(annotation))
        read_tuple = next((_reader(part) for part in parts if get_origin(part) is tuple), _as_it_is)

        def read(value: Any) -> Any:  # noqa: ANN401
            if isinstance(value, Mapping):
                return recorded(_kind_of(models, value), value)
            return read_tuple(value) if isinstance(value, list) else value

        return read
    if origin is tuple:
        readers = [_reader(part) for part in parts if part is not Ellipsis]
        readers_of_all = repeat(readers[0]) if parts[-1] is Ellipsis else readers
        return lambda values: tuple(read(each) for read, each in zip(readers_of_all, values, strict=False))
    if origin is dict:
        read_one = _reader(parts[1])
        return lambda values: {key: read_one(each) for key, each in values.items()}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return lambda values: recorded(annotation, values)
    return _number if annotation is float else _as_it_is


def _number(value: Any) -> Any:  # noqa: ANN401
    return float(value) if type(value) is int else value


def _as_it_is(value: Any) -> Any:  # noqa: ANN401
    return value


def _kind_of(models: tuple[type[BaseModel], ...], values: Mapping[str, Any]) -> type[BaseModel]:
    """Return the class of the values, by their name or kind; for a name with a colon, the class of own parts."""
    for tag in ("name", "kind"):
        if tag in values and (found := _by_literal(models, tag).get(values[tag])):
            return found
    is_own = ":" in str(values.get("name"))
    return next((model for model in models if issubclass(model, OwnConfig) == is_own), models[0])


@functools.cache
def _by_literal(models: tuple[type[BaseModel], ...], tag: str) -> dict[Any, type[BaseModel]]:
    """Return the models by each literal value that their field `tag` can have."""
    tagged = [(model, model.model_fields[tag].annotation) for model in models if tag in model.model_fields]
    return {
        value: model for model, allowed in tagged if get_origin(allowed) is Literal for value in get_args(allowed)
    }


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
