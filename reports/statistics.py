"""What a few paired finals can tell: intervals, differences, tiers. Pure functions on scipy.

Intervals are Student's, because at the few seeds that people can afford they hold what they promise and the
percentile bootstrap does not: `python -m tests.benchmarks statistics` measures both.
"""

import itertools
import math
import warnings
from collections.abc import Mapping, Sequence

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from harness.config import FrozenModel

LEVEL = 0.95
# with two, t would have to be over 127 to pass the first step of Holm's test among five
LEAST_SEEDS = 3
POWER = 0.80

Values = Sequence[float] | NDArray[np.float64]
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
    tests = _paired_tests([differences for _, _, differences in pairs])
    corrected = _holm([p for _, _, p in tests])
    return [
        PairDifference(
            better=better,
            worse=worse,
            seeds=len(differences),
            mean=float(np.mean(differences)),
            low=low,
            high=high,
            p=p,
            probability=_probability_above(list(finals[better].values()), list(finals[worse].values())),
        )
        for (better, worse, differences), (low, high, _), p in zip(pairs, tests, corrected, strict=True)
    ]


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


class SweepChange(FrozenModel):
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


def sweep_changes(before: AccuracyBySeed, after: AccuracyBySeed) -> list[SweepChange]:
    """Return the change of each optimizer with finals in both. Below `LEAST_SEEDS` on a side none is told apart."""
    shared = [name for name in before if before[name] and after.get(name)]
    tests = [_welch(list(before[name].values()), list(after[name].values())) for name in shared]
    corrected = _holm([p for _, _, p in tests])
    return [
        SweepChange(
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
    mean, error = float(np.mean(values)), float(stats.sem(values))
    low, high = stats.t.interval(LEVEL, len(values) - 1, mean, error) if error else (mean, mean)
    return float(low), float(high)


def _paired_tests(samples: Sequence[NDArray[np.float64]]) -> list[tuple[float | None, float | None, float]]:
    """Interval of each mean difference and its two-sided p; all of one length together, since each call is slow.

    No interval of one seed. p is 1 below `LEAST_SEEDS`, and where the differences are all equal: of three seeds they
    are once in 2,500 pairs, because a test set counts in steps; that is no certainty.
    """
    found: dict[int, tuple[float | None, float | None, float]] = {}
    for count in {len(each) for each in samples}:
        chosen = [index for index, each in enumerate(samples) if len(each) == count]
        found |= dict.fromkeys(chosen, (None, None, 1.0))
        if count < 2:
            continue
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of equal ones, which are left out
            test = stats.ttest_1samp([samples[index] for index in chosen], 0.0, axis=1)
            results = np.array([*test.confidence_interval(LEVEL), test.pvalue]).T.tolist()
        for index, (low, high, p) in zip(chosen, results, strict=True):
            tells = count >= LEAST_SEEDS and stats.sem(samples[index]) >= 1e-12
            found[index] = low, high, p if tells else 1.0
    return [found[index] for index in range(len(samples))]


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
