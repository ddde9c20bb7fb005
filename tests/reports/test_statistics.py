"""The statistics claim no more than the seeds can tell: proved on simulated sweeps."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.curves import median_or_never, performance_profile, tuning_curve
from reports.statistics import (
    detectable_difference,
    paired_differences,
    summarize,
    tiers,
)
from tests.null_sweeps import NOISES, TRUE_MEAN, sweeps


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("noise", NOISES)
def test_at_most_one_null_sweep_in_twenty_claims_a_better_optimizer(noise, seeds):
    claims = [len(tiers(finals)) > 1 for finals in sweeps(1_000, seeds, noise)]
    assert np.mean(claims) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("noise", NOISES)
def test_the_95_percent_interval_holds_the_mean_93_to_97_times_in_100(noise, seeds):
    summaries = [
        summarize(list(values.values())) for finals in sweeps(2_000, seeds, noise) for values in [finals["a"]]
    ]
    assert 0.93 <= np.mean([each.low <= TRUE_MEAN <= each.high for each in summaries]) <= 0.97
    unrelated = ({"a", "b"}, {"c", "d"})
    differences = [
        each
        for finals in sweeps(1_000, seeds, noise)
        for each in paired_differences(finals)
        if {each.better, each.worse} in unrelated
    ]
    assert 0.93 <= np.mean([each.low <= 0 <= each.high for each in differences]) <= 0.97


def test_a_real_difference_is_found_and_more_often_with_more_seeds():
    found = [
        np.mean([tiers(finals)[0] == ("a",) for finals in sweeps(200, seeds, "normal", effect=0.003)])
        for seeds in (3, 5, 10)
    ]
    assert found == sorted(found)
    assert found[-1] > 0.9


def test_the_detectable_difference_is_found_in_about_80_percent():
    simulated = list(sweeps(400, 10))
    effect = float(np.median([detectable_difference(finals) for finals in simulated]))
    pairs = [
        pair.p < 0.05
        for finals in sweeps(400, 10, "normal", effect)
        for pair in paired_differences(finals)
        if {pair.better, pair.worse} == {"a", "b"}
    ]
    assert 0.75 <= np.mean(pairs) <= 0.95  # Holm's later steps find a little more than its first


def test_pairs_are_those_of_scipy_with_holms_correction():
    finals = next(iter(sweeps(1, 6, effect=0.002)))
    pairs = paired_differences(finals)
    raw = sorted(
        stats.ttest_rel(list(finals[each.better].values()), list(finals[each.worse].values())).pvalue
        for each in pairs
    )
    holm = np.minimum(1, np.maximum.accumulate([(len(raw) - rank) * p for rank, p in enumerate(raw)]))
    assert sorted(each.p for each in pairs) == pytest.approx(holm.tolist())
    assert all(each.mean >= 0 for each in pairs)


def test_only_shared_seeds_are_paired():
    finals = {"a": {1: 0.9, 2: 0.91, 3: 0.92, 4: 0.1}, "b": {1: 0.8, 2: 0.8, 3: 0.83, 5: 0.99}}
    (pair,) = paired_differences(finals)
    assert (pair.better, pair.seeds) == ("a", 3)
    assert pair.mean == pytest.approx(0.1)


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_or_two_seeds_tell_nothing_apart(seeds):
    finals = {name: dict.fromkeys(range(seeds), value) for name, value in (("a", 0.99), ("b", 0.1))}
    assert tiers(finals) == [("a", "b")]
    assert detectable_difference(finals) is None
    assert (summarize([0.9]).sd, summarize([0.9]).low) == (None, None)


def test_differences_that_cancel_out_keep_their_interval():
    (pair,) = paired_differences({"a": {1: 0.98, 2: 0.96, 3: 0.97}, "b": {1: 0.96, 2: 0.98, 3: 0.97}})
    assert (round(pair.mean, 12), pair.p) == (0, pytest.approx(1))
    assert pair.low == pytest.approx(-pair.high)
    assert pair.high == pytest.approx(stats.t.isf(0.025, 2) * 0.02 / math.sqrt(3))


def test_equal_differences_are_no_certainty():
    finals = {"a": {1: 0.9805, 2: 0.9812, 3: 0.9809}, "b": {1: 0.9802, 2: 0.9809, 3: 0.9806}}
    assert tiers(finals) == [("a", "b")]


def test_tied_with_both_ends_means_in_two_tiers():
    noise = np.array([0.001, -0.001, 0.002, -0.002, 0.0005, -0.0005])
    values = {"high": 0.990 + noise, "middle": 0.985 + 8 * noise[::-1], "low": 0.980 + noise[[2, 3, 0, 1, 5, 4]]}
    finals = {name: dict(enumerate(each.tolist())) for name, each in values.items()}
    assert tiers(finals) == [("high", "middle"), ("middle", "low")]


def test_probability_of_improvement_counts_pairs_of_finals():
    (pair,) = paired_differences({"a": {1: 0.9, 2: 0.8, 3: 0.7}, "b": {1: 0.75, 2: 0.7, 3: 0.6}})
    assert pair.probability == pytest.approx((3 + 3 + 1.5) / 9)


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


def test_a_performance_profile_counts_what_is_within_a_factor_of_the_fastest():
    steps = performance_profile({"a": [10, 10, math.inf, math.inf], "b": [20, 5, 8, math.inf]})
    assert steps["a"] == [(1.0, 0.25), (2.0, 0.5)]
    assert steps["b"] == [(1.0, 0.5), (2.0, 0.75)]


@pytest.mark.parametrize(
    ("values", "median"), [([1, 2, 3], 2), ([1, 2, math.inf], 2), ([1, math.inf], None), ([math.inf] * 3, None)]
)
def test_the_median_is_never_where_half_never_got_there(values, median):
    assert median_or_never(values) == median
