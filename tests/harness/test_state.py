"""RunState is a value: to bytes and back, hashed over every bit, refused where it belongs to another config."""

import io
import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import RunConfig, with_settings
from harness.errors import BadInputError
from harness.training.loop import initial_state
from harness.training.state import EpochBegun, RunState
from tests.training import train_epochs

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


@st.composite
def tensors(draw):
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    if dtype is torch.bool:
        return torch.rand(shape, generator=generator) < 0.5
    bits = torch.randint(0, 256, (*shape, dtype.itemsize), dtype=torch.uint8, generator=generator)
    return bits.view(dtype).reshape(shape)  # every bit pattern, nan and infinity among them


plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=9)
keys = st.text(min_size=1, max_size=9) | st.integers(0, 9)
optimizers = st.recursive(
    plain | tensors(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=9,
)
epochs_begun = st.builds(
    EpochBegun,
    order_seed=st.integers(-(2**63), 2**63 - 1),
    losses=st.lists(st.floats(width=32), min_size=1, max_size=4).map(torch.tensor),
    correct=st.lists(st.integers(0, 2**40), min_size=1, max_size=4).map(torch.tensor),
    train_seconds=st.floats(0, 1e6),
    evaluate_seconds=st.floats(0, 1e6),
)
states = st.builds(
    RunState,
    config=st.just("{}"),
    epoch=st.integers(0, 10_000),
    model=st.dictionaries(st.text(min_size=1, max_size=9), tensors(), max_size=4),
    optimizer=st.dictionaries(keys, optimizers, max_size=4),
    rng=st.fixed_dictionaries(
        {"cpu": st.binary(max_size=64).map(lambda b: torch.tensor(list(b), dtype=torch.uint8))}
    ),
    begun=st.none() | epochs_begun,
)


@settings(deadline=None)
@given(states)
def test_a_state_is_unchanged_after_conversion_to_bytes_and_back(state):
    again = RunState.from_bytes(state.to_bytes())
    assert again.hash() == state.hash()


@settings(deadline=None)
@given(states, tensors().filter(lambda tensor: tensor.numel()), st.data())
def test_the_hash_sees_every_bit_and_every_shape(state, tensor, data):
    before = replace(state, model=state.model | {"weight": tensor})
    flipped = tensor.clone().reshape(-1).view(torch.uint8)
    at = data.draw(st.integers(0, len(flipped) - 1))
    flipped[at] ^= 1
    after = replace(before, model=before.model | {"weight": flipped.view(tensor.dtype).reshape(tensor.shape)})
    reshaped = replace(before, model=before.model | {"weight": tensor.unsqueeze(0)})
    assert len({each.hash() for each in (before, after, reshaped, replace(before, epoch=before.epoch + 1))}) == 4


@settings(deadline=None)
@given(states, epochs_begun)
def test_the_hash_covers_the_progress_within_an_epoch_but_not_its_duration(state, begun):
    state = replace(state, begun=begun)
    others = [
        replace(state, begun=replace(begun, **changes))
        for changes in (
            {"order_seed": begun.order_seed ^ 1},
            {"losses": torch.cat([begun.losses, torch.zeros(1)])},
            {"correct": begun.correct + 1},
        )
    ]
    assert len({each.hash() for each in (state, replace(state, begun=None), *others)}) == 5
    longer = replace(begun, train_seconds=begun.train_seconds + 1, evaluate_seconds=begun.evaluate_seconds + 2)
    assert replace(state, begun=longer).hash() == state.hash()
    again = RunState.from_bytes(state.to_bytes())
    assert (again.hash(), again.step, again.begun.train_seconds) == (
        state.hash(),
        len(begun.losses),
        begun.train_seconds,
    )


def test_a_state_stored_before_schedulers_existed_is_read_and_keeps_its_hash():
    values = {"config": "{}", "epoch": 1, "model": {"weight": torch.tensor([1.0, 2.0])}, "optimizer": {"lr": 0.5}}
    stored = io.BytesIO()
    torch.save(values | {"rng": {"cpu": torch.tensor([1, 2], dtype=torch.uint8)}}, stored)
    state = RunState.from_bytes(stored.getvalue())
    assert state.hash() == "ee0ec815dd55976a7b41b304603bac02a212d47493c7f9be81e6aef40c073bb5"
    assert replace(state, scheduler={"last_epoch": 3}).hash() != state.hash()


def test_only_tensors_and_plain_values_are_unpickled(config: RunConfig):
    class Harmful:
        def __reduce__(self):
            return print, ("unpickled",)

    state = initial_state(config)
    harmful = io.BytesIO()
    torch.save(vars(state) | {"optimizer": Harmful()}, harmful)
    with pytest.raises(pickle.UnpicklingError, match="print"):
        RunState.from_bytes(harmful.getvalue())


@pytest.mark.parametrize(
    ("key", "value"), [("optimizer.lr", 0.1), ("batch_size", 64), ("model.dropout.1", 0.3), ("seed", 1)]
)
def test_a_state_of_another_config_is_refused_by_the_first_field_that_differs(small, config, key, value):
    other = with_settings(config, {key: value})
    with pytest.raises(
        BadInputError, match=f"state is of another config, whose {key} is .*: expected {value}, as in this run"
    ):
        train_epochs(other, initial_state(config), small, 1, [])
