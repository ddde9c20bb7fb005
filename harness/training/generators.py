"""Seed, save and restore the global random generators that a run draws from: torch's, numpy's and Python's."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

NUMPY_SEEDS = 2**32  # numpy's legacy generator takes no larger seed


@contextlib.contextmanager
def kept_generators() -> Iterator[None]:
    """Restore numpy's and Python's generators after a block; `torch.random.fork_rng` does so for torch's."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def seed_generators(seed: int) -> None:
    """Seed torch's, numpy's and Python's global generators as a plain training script does.

    numpy is given `seed` modulo 2**32.
    """
    torch.manual_seed(seed)
    _seed_others(seed)


def generator_states(device: str, seed: int) -> dict[str, Any]:
    """Return the states of all global generators of a run on `device` with this seed, as tensors and plain values.

    The states of numpy's and Python's generators are left out if nothing was drawn from them since
    `seed_generators(seed)`, so that runs that do not use them keep the states and hashes of older versions.
    """
    states: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if device.startswith("cuda"):
        states["device"] = torch.cuda.get_rng_state(device)
    elif device == "mps":
        states["device"] = torch.mps.get_rng_state()
    others = _other_states()
    with kept_generators():
        _seed_others(seed)
        unused = _other_states()
    return states | {name: _as_tensors(state) for name, state in others.items() if state != unused[name]}


def restore_generators(states: dict[str, Any], device: str, seed: int) -> None:
    """Restore the states that `generator_states` returned."""
    torch.set_rng_state(states["cpu"])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(states["device"], device)
    elif device == "mps":
        torch.mps.set_rng_state(states["device"])
    _seed_others(seed)
    if "python" in states:
        version, keys, gauss = states["python"]
        random.setstate((version, tuple(keys.tolist()), gauss))
    if "numpy" in states:
        name, keys, *rest = states["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))


def _seed_others(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % NUMPY_SEEDS)


def _other_states() -> dict[str, list[Any]]:
    """Return the states of Python's and numpy's generators, their words as lists of integers."""
    version, words, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)
    return {"python": [version, list(words), gauss], "numpy": [name, np.asarray(keys).tolist(), *rest]}


def _as_tensors(state: list[Any]) -> list[Any]:
    return [torch.tensor(each) if isinstance(each, list) else each for each in state]
