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
Finals = Mapping[str, Mapping[int, float]]  # accuracy of each optimizer by seed


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


class Difference(FrozenModel):
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


def compare(finals: Finals) -> list[Difference]:
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
        _difference(finals, better, worse, differences, p)
        for (better, worse, differences), p in zip(pairs, corrected, strict=True)
    ]


def _difference(finals: Finals, better: str, worse: str, differences: Values, p: float) -> Difference:
    low, high = _interval(differences)
    return Difference(
        better=better,
        worse=worse,
        seeds=len(differences),
        mean=float(np.mean(differences)),
        low=low,
        high=high,
        p=p,
        probability=_probability_above(list(finals[better].values()), list(finals[worse].values())),
    )


def tiers(finals: Finals) -> list[tuple[str, ...]]:
    """The optimizers in tiers, the best first, by mean within one. Two share a tier if and only if they are tied.

    So an optimizer that is tied with two that are not tied with each other is in two tiers (a compact letter display,
    Piepho 2004).
    """
    means = {name: float(np.mean(list(values.values()))) for name, values in finals.items() if values}
    tied: nx.Graph[str] = nx.Graph()
    tied.add_nodes_from(means)
    told_apart = {frozenset((each.better, each.worse)) for each in compare(finals) if each.told_apart}
    tied.add_edges_from(pair for pair in itertools.combinations(means, 2) if frozenset(pair) not in told_apart)
    ranks = {name: rank for rank, name in enumerate(sorted(means, key=means.__getitem__, reverse=True))}
    groups = [tuple(sorted(group, key=ranks.__getitem__)) for group in nx.find_cliques(tied)]
    return sorted(groups, key=lambda group: [ranks[name] for name in group])


def detectable_difference(finals: Finals) -> float | None:
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
