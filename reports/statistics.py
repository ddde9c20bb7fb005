"""What a few paired finals can tell: intervals, differences, tiers. Pure functions on scipy.

Intervals are Student's, because at the few seeds that people can afford they hold what they promise and the
percentile bootstrap does not: `python -m tests.benchmarks statistics` measures both.
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence

import networkx as nx
import numpy as np
from scipy import optimize, stats

from harness.config import FrozenModel

LEVEL = 0.95
# with two, t would have to be over 127 to pass the first step of Holm's test among five
LEAST_SEEDS = 3
POWER = 0.80

Values = Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]
AccuracyBySeed = Mapping[str, Mapping[int, float]]  # accuracy of each optimizer by seed


class Summary(FrozenModel):
    """Accuracies of one optimizer's finals, as fractions. `low` and `high` hold the mean with 95% confidence.

    `iqm` is the interquartile mean: that of the middle half (Agarwal et al. 2021). One seed has no `sd`, no interval.
    """

    seeds: int
    mean: float
    median: float
    iqm: float
    sd: float | None
    low: float | None
    high: float | None


class PairDifference(FrozenModel):
    """`better` less `worse`, on the seeds that both have, as fractions.

    `low` and `high` hold this one difference with 95% confidence. `p` is the paired t-test's, with Holm's correction
    for all the pairs; `probability` is that of a final of `better` being above one of `worse`.
    """

    better: str
    worse: str
    seeds: int
    mean: float
    low: float | None
    high: float | None
    p: float
    probability: float

    @property
    def told_apart(self) -> bool:
        """Whether `better` is better beyond noise, with at most 5% false claims over all pairs together."""
        return self.p < 1 - LEVEL


def summarize(values: Sequence[float]) -> Summary:
    """The summary of one or more accuracies."""
    low, high = _interval(values)
    return Summary(
        seeds=len(values),
        mean=float(np.mean(values)),
        median=float(np.median(values)),
        iqm=float(stats.trim_mean(values, 0.25)),
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        low=None if low is None else max(low, 0.0),
        high=None if high is None else min(high, 1.0),
    )


def paired_differences(finals: AccuracyBySeed) -> list[PairDifference]:
    """Every pair of optimizers that share a seed, the one with the higher mean first.

    Below `LEAST_SEEDS` shared seeds nothing is told apart.
    """
    pairs = []
    for one, other in itertools.combinations(finals, 2):
        seeds = sorted(finals[one].keys() & finals[other].keys())
        differences = np.array([finals[one][seed] - finals[other][seed] for seed in seeds])
        if seeds:
            pairs.append((one, other, differences) if differences.mean() >= 0 else (other, one, -differences))
    corrected = _holm([_paired_p(differences) for _, _, differences in pairs])
    return [
        _pair_difference(finals, better, worse, differences, p)
        for (better, worse, differences), p in zip(pairs, corrected, strict=True)
    ]


def _pair_difference(
    finals: AccuracyBySeed, better: str, worse: str, differences: Values, p: float
) -> PairDifference:
    low, high = _interval(differences)
    return PairDifference(
        better=better,
        worse=worse,
        seeds=len(differences),
        mean=float(np.mean(differences)),
        low=low,
        high=high,
        p=p,
        probability=_probability_above(list(finals[better].values()), list(finals[worse].values())),
    )


def tiers(finals: AccuracyBySeed) -> list[tuple[str, ...]]:
    """The optimizers in tiers, the best first, by mean within one. Two share a tier if and only if they are tied.

    So an optimizer that is tied with two that are not tied with each other is in two tiers (a compact letter display,
    Piepho 2004).
    """
    means = {name: float(np.mean(list(values.values()))) for name, values in finals.items() if values}
    tied: nx.Graph[str] = nx.Graph()
    tied.add_nodes_from(means)
    # with unequal seeds an optimizer may be better on those that both have, and have the lower mean: then it is tied
    told_apart = {
        frozenset((each.better, each.worse))
        for each in paired_differences(finals)
        if each.told_apart and means[each.better] > means[each.worse]
    }
    tied.add_edges_from(pair for pair in itertools.combinations(means, 2) if frozenset(pair) not in told_apart)
    ranks = {name: rank for rank, name in enumerate(sorted(means, key=means.__getitem__, reverse=True))}
    groups = [tuple(sorted(group, key=ranks.__getitem__)) for group in nx.find_cliques(tied)]
    return sorted(groups, key=lambda group: [ranks[name] for name in group])


def detectable_difference(finals: AccuracyBySeed) -> float | None:
    """The difference (fraction) that these seeds would tell apart in 80% of sweeps, in the first step of Holm's test.

    From the median standard deviation of the paired differences and the noncentral t distribution (Cohen 1988).
    None where there is no pair with `LEAST_SEEDS` seeds, or the finals don't vary.
    """
    pairs = list(itertools.combinations(finals, 2))
    spreads, seeds = [], []
    for one, other in pairs:
        shared = finals[one].keys() & finals[other].keys()
        if len(shared) >= LEAST_SEEDS:
            spreads.append(np.std([finals[one][seed] - finals[other][seed] for seed in shared], ddof=1))
            seeds.append(len(shared))
    if not spreads or np.median(spreads) == 0:
        return None
    count = min(seeds)
    critical = stats.t.isf((1 - LEVEL) / len(pairs) / 2, count - 1)

    def lacking(shift: float) -> float:
        return float(stats.nct.sf(critical, count - 1, shift)) - POWER

    shift = optimize.brentq(lacking, 0.0, 4 * critical)
    return float(shift * np.median(spreads) / math.sqrt(count))


class Curve(FrozenModel):
    """A quantity over a range of budgets: its median and the middle 80% of it, from where half have one.

    An order of trials of which none has completed yet counts as an accuracy of 0.
    """

    at: tuple[int, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def tuning_curve(trials: Sequence[tuple[int, float]], resamplings: int = 1000) -> Curve | None:
    """The best validation accuracy that a search would have had after so many epochs, over orders of its trials.

    `trials` are (epochs spent, accuracy; nan where it did not complete). What a user with a part of the budget would
    have got, had the trials come in another order (as Sivaprasad et al. 2020 do it): exact for random search, while a
    sampler that learns does better late. At most 200 budgets. None where no trial completed.
    """
    if not any(spent for spent, _ in trials):
        return None
    epochs = np.array([spent for spent, _ in trials])
    accuracies = np.nan_to_num([accuracy for _, accuracy in trials])
    generator = np.random.default_rng(0)
    orders = generator.permuted(np.tile(np.arange(len(trials)), (resamplings, 1)), axis=1)
    spent = epochs[orders].cumsum(axis=1)
    best = np.maximum.accumulate(accuracies[orders], axis=1)
    budgets = np.unique(np.linspace(1, epochs.sum(), 200).round().astype(int))
    # of each order, the best among the trials that had ended by then
    ended = np.stack([np.searchsorted(row, budgets, side="right") for row in spent])
    values = np.where(ended > 0, np.take_along_axis(best, np.maximum(ended - 1, 0), axis=1), 0.0)
    low, median, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
    there = median > 0
    if not there.any():
        return None
    return Curve(
        at=budgets[there].tolist(), median=median[there].tolist(), low=low[there].tolist(), high=high[there].tolist()
    )


def performance_profile(costs: Mapping[str, Sequence[float]]) -> dict[str, list[tuple[float, float]]]:
    """Of each solver, the share of problems (0 to 1) that it solves within a factor of the best one's cost.

    `costs` are by solver, of the same problems in the same order, infinite where one was not solved. The result is
    steps (factor, share) from factor 1 on (Dolan and Moré 2002). A problem that nobody solves counts as unsolved.
    """
    table = np.array([costs[name] for name in costs], dtype=float)
    best = table.min(axis=0)
    ratios = np.divide(table, best, out=np.full_like(table, np.inf), where=np.isfinite(best) & (best > 0))
    steps = sorted({1.0, *ratios[np.isfinite(ratios)].tolist()})
    return {
        name: [(step, float(np.mean(ratios[row] <= step + 1e-12))) for step in steps]
        for row, name in enumerate(costs)
    }


def median_or_never(values: Sequence[float]) -> float | None:
    """The median, where None is that it is infinite: at least half of the values are."""
    median = float(np.median(values))
    return median if math.isfinite(median) else None


class Change(FrozenModel):
    """The same optimizer in two sweeps: `after` less `before`, means of independent finals, as fractions.

    `low` and `high` hold the difference with 95% confidence (Welch); `p` is corrected for all optimizers (Holm).
    """

    optimizer: str
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None
    p: float
    tested: bool

    @property
    def told_apart(self) -> bool:
        """Whether the two differ beyond noise."""
        return self.p < 1 - LEVEL


def changes(before: AccuracyBySeed, after: AccuracyBySeed) -> list[Change]:
    """Of every optimizer with finals in both. Below `LEAST_SEEDS` on either side nothing is told apart."""
    shared = [name for name in before if before[name] and after.get(name)]
    tests = [_welch(list(before[name].values()), list(after[name].values())) for name in shared]
    corrected = _holm([p for _, _, p in tests])
    return [
        Change(
            optimizer=name,
            before=(one := float(np.mean(list(before[name].values())))),
            after=(other := float(np.mean(list(after[name].values())))),
            difference=other - one,
            low=low,
            high=high,
            p=p,
            tested=min(len(before[name]), len(after[name])) >= LEAST_SEEDS,
        )
        for name, (low, high, _), p in zip(shared, tests, corrected, strict=True)
    ]


def _welch(ones: Sequence[float], others: Sequence[float]) -> tuple[float | None, float | None, float]:
    """Interval of the difference of means and p; no p below `LEAST_SEEDS`, or where nothing varies."""
    if min(len(ones), len(others)) < 2 or max(np.ptp(ones), np.ptp(others)) < 1e-12:
        return None, None, 1.0
    test = stats.ttest_ind(others, ones, equal_var=False)
    low, high = test.confidence_interval(LEVEL)
    enough = min(len(ones), len(others)) >= LEAST_SEEDS
    return float(low), float(high), float(test.pvalue) if enough else 1.0


def _interval(values: Values) -> tuple[float | None, float | None]:
    """Student's 95% interval of the mean."""
    if len(values) < 2:
        return None, None
    half = _quantile(len(values) - 1) * _standard_error(values)
    return float(np.mean(values) - half), float(np.mean(values) + half)


@functools.cache
def _quantile(degrees_of_freedom: int) -> float:
    return float(stats.t.isf((1 - LEVEL) / 2, degrees_of_freedom))


def _standard_error(values: Values) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _paired_p(differences: Values) -> float:
    """Two-sided, of the paired t-test; 1 below `LEAST_SEEDS`, and where the differences are all equal.

    Of three seeds they are equal once in 2,500 pairs, because a test set counts in steps; that is no certainty.
    """
    if len(differences) < LEAST_SEEDS:
        return 1.0
    error = _standard_error(differences)
    if error < 1e-12:
        return 1.0
    return float(2 * stats.t.sf(abs(np.mean(differences)) / error, len(differences) - 1))


def _holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the chance of any false claim stays under the level."""
    corrected = [1.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(values, kind="stable")):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected


def _probability_above(ones: Sequence[float], others: Sequence[float]) -> float:
    """The share of all pairs in which the first is above, ties half."""
    return float(np.heaviside(np.subtract.outer(ones, others), 0.5).mean())
