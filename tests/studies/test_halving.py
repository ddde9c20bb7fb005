"""Successive halving keeps the best part of a study at each rung, decided from accuracies alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.halving import goes_on, rungs


@pytest.mark.parametrize(
    ("warm_up", "factor", "epochs", "expected"),
    [(1, 2, 2, [1]), (1, 2, 1, []), (1, 3, 10, [1, 3, 9]), (2, 2, 8, [2, 4]), (3, 2, 3, [])],
)
def test_rungs_are_powers_of_the_factor_after_the_warm_up_before_the_last_epoch(warm_up, factor, epochs, expected):
    assert rungs(warm_up, factor, epochs) == expected


def test_the_first_trial_and_the_earlier_of_equals_go_on():
    assert goes_on(0, {0: 0.1}, 2)
    assert goes_on(0, {0: 0.5, 1: 0.5}, 2)
    assert not goes_on(1, {0: 0.5, 1: 0.5}, 2)


@given(st.dictionaries(st.integers(0, 50), st.floats(0, 1), min_size=1), st.integers(2, 5))
def test_one_in_factor_goes_on_rounded_up_and_none_that_is_worse(accuracies, factor):
    kept = {number for number in accuracies if goes_on(number, accuracies, factor)}
    assert len(kept) == -(-len(accuracies) // factor)
    pruned = accuracies.keys() - kept
    assert max((accuracies[n] for n in pruned), default=0) <= min(accuracies[n] for n in kept)
