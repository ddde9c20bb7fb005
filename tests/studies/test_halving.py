"""Successive halving keeps the best trials of a study at each rung, decided from accuracies alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.pruning import Standings, halving_rungs


@pytest.mark.parametrize(
    ("warm_up", "factor", "epochs", "expected"),
    [
        (1, 2, 2, (1,)),
        (1, 2, 1, ()),
        (1, 3, 10, (1, 3, 9)),
        (2, 2, 8, (2, 4)),
        (3, 2, 3, ()),
        (0.125, 2, 2, (0.125, 0.25, 0.5, 1)),
    ],
)
def test_rungs_are_powers_of_the_factor_after_the_warm_up_before_the_last_epoch(warm_up, factor, epochs, expected):
    assert halving_rungs(warm_up, factor, epochs) == expected


def kept(standings: Standings, accuracies: dict[int, float]) -> set[int]:
    for number, accuracy in accuracies.items():
        standings.record(number, [accuracy])
    return {number for number, accuracy in accuracies.items() if standings.goes_on(number, [accuracy])}


def test_the_first_trial_and_the_earlier_of_equal_trials_continue():
    assert kept(Standings([1], 2), {0: 0.1}) == {0}
    assert kept(Standings([1], 2), {1: 0.5, 0: 0.5}) == {0}


@given(st.dictionaries(st.integers(0, 50), st.floats(0, 1), min_size=1), st.integers(2, 5))
def test_one_trial_in_factor_rounded_up_continues_and_no_worse_one(accuracies, factor):
    going_on = kept(Standings([1], factor), accuracies)
    assert len(going_on) == -(-len(accuracies) // factor)
    pruned = accuracies.keys() - going_on
    assert max((accuracies[n] for n in pruned), default=0) <= min(accuracies[n] for n in going_on)


def test_a_trial_is_counted_once_at_each_rung_it_reached():
    standings = Standings([1, 2], 2)
    for epochs in (1, 1, 2):
        standings.record(0, [0.9, 0.1][:epochs])
    standings.record(1, [0.8])
    assert not standings.goes_on(1, [0.8])
    standings.record(1, [0.8, 0.2])
    assert standings.goes_on(1, [0.8, 0.2])
    standings.record(2, [0.7])
    assert [number for number in range(3) if standings.goes_on(number, [[0.9], [0.8], [0.7]][number])] == [0, 1]


def test_trials_that_diverged_early_keep_no_others_at_later_rungs():
    standings = Standings([1, 2, 4], 2)
    for number in range(8):
        standings.rank_last(number, [])
    standings.record(8, [0.9])
    standings.rank_last(8, [0.9])
    standings.begin(1)
    whole = {number: [number / 100] * 4 for number in range(10, 18)}
    going_on = []
    for reached in (1, 2, 4):
        for number, accuracies in whole.items():
            standings.record(number, accuracies[:reached])
        whole = {number: each for number, each in whole.items() if standings.goes_on(number, each[:reached])}
        going_on.append(len(whole))
    assert going_on == [8, 5, 3], "of 17, of 8 and the one that had reached the first rung, of 5"


def test_a_diverged_or_failed_trial_ranks_last_once_its_round_is_over():
    standings = Standings([1, 2], 2)
    standings.record(0, [0.9])
    standings.rank_last(0, [0.9])
    standings.rank_last(1, [])  # before the rung
    standings.record(2, [0.5])
    assert not standings.goes_on(2, [0.5])
    standings.begin(1)
    standings.record(3, [0.4])
    assert standings.goes_on(2, [0.5])
    assert standings.goes_on(3, [0.4])  # of four the second, for both that ended rank last
    standings.record(4, [0.3])
    assert standings.goes_on(4, [0.3])
    standings.record(5, [0.2])
    assert not standings.goes_on(5, [0.2])
