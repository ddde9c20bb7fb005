"""Summaries, tiers and curves follow their definitions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.curves import median_or_never, performance_profile, tuning_curve
from reports.statistics import probability_above, summarize, tiers
from tests.simulated import NOISES


@pytest.mark.long
@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("noise", NOISES)
def test_the_95_percent_interval_of_a_mean_covers_it_93_to_97_times_in_100(noise, seeds):
    values = NOISES[noise](np.random.default_rng(seeds), (1000, seeds))
    summaries = [summarize((0.985 + 0.001 * each).tolist()) for each in values]
    assert 0.93 <= np.mean([each.low <= 0.985 <= each.high for each in summaries]) <= 0.97


def test_one_seed_has_no_spread_and_no_interval():
    assert (summarize([0.9]).sd, summarize([0.9]).low) == (None, None)


def test_an_optimizer_that_differs_from_no_other_is_in_two_tiers():
    means = {"middle": 0.985, "low": 0.980, "high": 0.990}
    assert tiers(means, [("high", "low")]) == [("high", "middle"), ("middle", "low")]
    assert tiers(means, []) == [("high", "middle", "low")]
    assert tiers({}, []) == []


def test_the_probability_of_improvement_counts_pairs_of_finals():
    assert probability_above([0.9, 0.8, 0.7], [0.75, 0.7, 0.6]) == pytest.approx((3 + 3 + 1.5) / 9)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=12))
def test_summary_is_inside_its_interval_and_its_data(values):
    summary = summarize(values)
    assert summary.low <= summary.mean <= summary.high
    for middle in (summary.mean, summary.median, summary.iqm):
        assert min(values) - 1e-12 <= middle <= max(values) + 1e-12
    assert math.isclose(summary.sd, np.std(values, ddof=1), abs_tol=1e-12)


def test_the_tuning_curve_is_the_median_over_all_orders_of_the_trials():
    trials = [(1, math.nan), (2, 0.90), (2, 0.95), (1, math.nan), (2, 0.80)]
    curve = tuning_curve(trials)
    best_after = {budget: [] for budget in range(1, 9)}
    for order in itertools.permutations(trials):
        spent, best = 0, 0.0
        ends = []
        for epochs, accuracy in order:
            spent += epochs
            best = max(best, 0.0 if math.isnan(accuracy) else accuracy)
            ends.append((spent, best))
        for budget in best_after:
            best_after[budget].append(max((value for end, value in ends if end <= budget), default=0.0))
    exact = {budget: float(np.quantile(values, 0.5, method="inverted_cdf")) for budget, values in best_after.items()}
    first = min(budget for budget, median in exact.items() if median > 0)
    assert first <= curve.at[0] < first + 7 / 199  # of 200 budgets from 1 epoch to 8
    assert curve.at[-1] == 8
    assert list(curve.median) == [exact[math.floor(at)] for at in curve.at]
    assert {*curve.low, *curve.median, *curve.high} <= {0.0, 0.80, 0.90, 0.95}, "what a search can have found"
    assert curve.median[-1] == curve.low[-1] == curve.high[-1] == 0.95
    assert all(low <= middle <= high for low, middle, high in zip(curve.low, curve.median, curve.high, strict=True))


@pytest.mark.parametrize("trials", [[], [(0, math.nan)], [(1, math.nan), (2, math.nan)]])
def test_without_a_completed_trial_there_is_no_tuning_curve(trials):
    assert tuning_curve(trials) is None


def test_a_start_that_always_comes_first_is_in_every_budget():
    trials = [(1.0, 0.9), (1.0, 0.5), (1.0, 0.7)]
    curve = tuning_curve(trials, begins=True)
    assert set(curve.low) == set(curve.high) == {0.9}
    assert tuning_curve(trials).low[0] < 0.9


def test_a_performance_profile_counts_what_is_within_a_factor_of_the_fastest():
    steps = performance_profile({"a": [10, 10, math.inf, math.inf], "b": [20, 5, 8, math.inf]})
    assert steps["a"] == [(1.0, 0.25), (2.0, 0.5)]
    assert steps["b"] == [(1.0, 0.5), (2.0, 0.75)]


@pytest.mark.parametrize(
    ("values", "median"), [([1, 2, 3], 2), ([1, 2, math.inf], 2), ([1, math.inf], None), ([math.inf] * 3, None)]
)
def test_the_median_is_none_if_half_of_the_values_are_infinite(values, median):
    assert median_or_never(values) == median
