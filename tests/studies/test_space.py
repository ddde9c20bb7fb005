"""A space defines which dimensions are searched, on which scale, and from which budget on."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.spaces import SPACES
from harness.config import OPTIMIZER_CONFIGS
from studies.space import Choice, Range

DECAY = Range(low=5e-3, high=0.3, log=True, complement=True, start=0.9)


def test_every_optimizer_of_the_registry_has_a_space():
    assert SPACES.keys() == OPTIMIZER_CONFIGS.keys()


def test_a_decay_near_1_is_searched_as_1_minus_the_decay():
    assert DECAY.parameter("optimizer.momentum") == "1-optimizer.momentum"
    assert DECAY.value(0.1) == 0.9
    assert math.isclose(DECAY.start_drawn(), 0.1)
    assert "1 - value 0.005 to 0.3" in DECAY.describe()
    with pytest.raises(ValueError, match="start"):
        Range(low=5e-3, high=0.3, complement=True, start=0.5)


@given(st.floats(0, 1, exclude_max=True))
def test_positions_stay_inside_and_are_even_on_the_scale(position):
    log, whole = Range(low=1e-4, high=1, log=True), Range(low=1, high=4, integer=True)
    assert math.isclose(math.log10(log.at(position)), -4 + 4 * position, abs_tol=1e-9)
    assert whole.at(position) == 1 + math.floor(4 * position)
    assert Choice(choices=("a", "b")).at(position) == "ab"[position >= 0.5]


def test_integers_on_a_log_scale_are_drawn_evenly_on_it():
    sizes = Range(low=16, high=1024, log=True, integer=True)
    assert [sizes.at(position) for position in (0, 0.5, math.nextafter(1, 0))] == [16, 128, 1024]
    positions = [(number + 0.5) / 10_000 for number in range(10_000)]
    few = Counter(Range(low=1, high=4, log=True, integer=True).at(position) for position in positions)
    assert few == pytest.approx({each: 10_000 * math.log((each + 1) / each, 5) for each in (1, 2, 3, 4)}, abs=1)
    octaves = Counter(sizes.at(position).bit_length() for position in positions)
    assert {octaves[bits] for bits in range(5, 11)} <= {*range(1_660, 1_670)}


def test_extremes_are_the_ends_the_start_and_a_non_integer():
    low, high, between, start = Range(low=16, high=256, start=32).extremes()
    assert (low, high, start) == (16, 256, 32)
    assert low < between < high
    assert between % 1
    assert Range(low=16, high=256, integer=True, start=32).extremes() == [16, 256, 32]
    assert [DECAY.value(drawn) for drawn in DECAY.extremes()][:2] == [0.995, 0.7]
    assert Choice(choices=(32, "a")).extremes() == [32, "a"]


def test_grids_are_even_on_the_scale_and_whole_for_integers():
    assert Range(low=1e-4, high=1, log=True, points=5).grid() == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1])
    assert Range(low=1, high=3, integer=True, points=9).grid() == [1, 2, 3]
    assert Choice(choices=(32, 64)).grid() == [32, 64]


@pytest.mark.parametrize(
    "values",
    [
        {"low": 1, "high": 1},
        {"low": 0, "high": 1, "log": True},
        {"low": 0.5, "high": 2, "integer": True},
        {"low": 1, "high": 4, "integer": True, "start": 2.5},
    ],
)
def test_an_invalid_interval_is_refused(values):
    with pytest.raises(ValueError, match="expected"):
        Range(**values)
