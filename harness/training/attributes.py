"""Find attributes that differ between two objects of one class, to detect state that is not in a state dict."""

import functools
import inspect
import math
import pickle
import random
from collections import deque
from collections.abc import Iterator, Mapping, Set
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn, optim
from torch.nn.utils import parametrize

Seen = dict[tuple[int, int], tuple[Any, Any]]  # pairs by their ids; the objects are kept, so that no id is reused
PLAIN = (bool, int, float, complex, str, bytes, type(None))
# attributes that torch itself keeps beside parameters, buffers and submodules, such as hooks
OF_ANY_MODULE = frozenset(vars(nn.Module())) - {"training"}


def differing_attributes(one: object, other: object) -> list[str]:
    """Return the dotted names of the attributes whose values differ between two objects of one class.

    For modules, everything outside the state dict except hooks is compared; for optimizers, the state dict too.
    Tensors, arrays and generators are compared by value, other objects by their attributes. Functions, classes and
    objects without attributes count as equal.
    """
    return list(dict.fromkeys(_differences(one, other, "", {})))


def _differences(one: Any, other: Any, name: str, seen: Seen) -> Iterator[str]:  # noqa: ANN401
    if one is other or (id(one), id(other)) in seen or inspect.isroutine(one) or isinstance(one, type | ModuleType):
        return
    seen[id(one), id(other)] = one, other
    if _class_of(one) is not _class_of(other):
        yield name
    elif isinstance(one, Mapping):
        yield from _of_mappings(one, other, name, seen)
    elif isinstance(one, list | tuple | deque):
        if len(one) != len(other):
            yield name
        else:
            for ours, theirs in zip(one, other, strict=True):
                yield from (name for _ in _differences(ours, theirs, name, seen))
    elif (equal := _are_equal(one, other)) is not None:
        if not equal:
            yield name
    else:
        yield from _of_mappings(_attributes(one), _attributes(other), name, seen)


def _class_of(each: object) -> type:
    """Return the class; of a parametrized module the one before, since torch makes a new class for each module."""
    return parametrize.type_before_parametrizations(each) if isinstance(each, nn.Module) else type(each)


def _of_mappings(one: Mapping[Any, Any], other: Mapping[Any, Any], name: str, seen: Seen) -> Iterator[str]:
    if not all(isinstance(key, (*PLAIN, tuple)) for key in (*one, *other)):
        # keys that are objects, such as parameters, differ between the mappings: their order pairs the values
        yield from _differences(list(one.values()), list(other.values()), name, seen)
        return
    for key in {**one, **other}:
        inner = f"{name}.{key}" if name else str(key)
        if key in one and key in other:
            yield from _differences(one[key], other[key], inner, seen)
        else:
            yield inner


def _attributes(value: object) -> Mapping[str, Any]:
    """Return an object's attributes by name; for a module, its submodules and what its `state_dict()` leaves out."""
    kept = dict(getattr(value, "__dict__", {}))
    if isinstance(value, nn.Module):
        buffers = {name: value._buffers[name] for name in value._non_persistent_buffers_set}
        kept = {name: each for name, each in kept.items() if name not in OF_ANY_MODULE}
        return kept | buffers | value._modules
    if isinstance(value, optim.Optimizer):
        kept = {name: each for name, each in kept.items() if name not in _of_any_optimizer()}
        return kept | {"state_dict()": value.state_dict()}
    return kept


@functools.cache
def _of_any_optimizer() -> frozenset[str]:
    """Return the attributes that torch keeps in every optimizer.

    This is not a constant, because the first optimizer loads torch's compiler, which would slow down the import.
    """
    return frozenset(vars(optim.SGD([nn.Parameter(torch.zeros(1))])))


def _are_equal(one: Any, other: Any) -> bool | None:  # noqa: ANN401
    """Return whether two values of one type are equal; None if their attributes must be compared instead."""
    if isinstance(one, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and torch.equal(_bits(one), _bits(other))
    if isinstance(one, np.ndarray):
        return (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, (*PLAIN, Set, range, np.generic)):
        return bool(one == other)
    if isinstance(one, Generator):
        return torch.equal(one.get_state(), other.get_state())
    if isinstance(one, random.Random):
        return bool(one.getstate() == other.getstate())
    if isinstance(one, np.random.Generator):
        return pickle.dumps(one.bit_generator.state) == pickle.dumps(other.bit_generator.state)
    if isinstance(one, np.random.RandomState):
        return pickle.dumps(one.get_state()) == pickle.dumps(other.get_state())
    return None


def _bits(value: Tensor) -> Tensor:
    """Return the tensor's bytes: as bytes, nan equals nan."""
    return value.detach().cpu().to_dense().contiguous().view(-1).view(torch.uint8)
