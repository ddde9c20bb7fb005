"""Summaries of a few finals, tiers of optimizers, and what changed between two sweeps. Pure functions on scipy.

Intervals are Student's, because at the few seeds that people can afford they hold what they promise and the
percentile bootstrap does not: `python -m tests.benchmarks statistics` measures both. The comparisons of optimizers
within a sweep are in `studies.verdicts`.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.config import FrozenModel
from studies.definition import LEAST_UNITS, LEVEL

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


def summarize(values: Sequence[float]) -> Summary:
    """The summary of one or more accuracies."""
    low, high = interval_of_mean(values)
    return Summary(
        seeds=len(values),
        mean=float(np.mean(values)),
        median=float(np.median(values)),
        iqm=float(stats.trim_mean(values, 0.25)),
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        low=None if low is None else max(low, 0.0),
        high=None if high is None else min(high, 1.0),
    )


def tiers(means: Mapping[str, float], apart: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the optimizers in tiers, the best first, by mean within one. Two that are `apart` share none.

    So an optimizer that is shown to differ from neither of two which differ is in two tiers (a compact letter
    display, Piepho 2004).
    """
    alike: nx.Graph[str] = nx.Graph()
    alike.add_nodes_from(means)
    differ = {frozenset(pair) for pair in apart}
    alike.add_edges_from(pair for pair in itertools.combinations(means, 2) if frozenset(pair) not in differ)
    ranks = {name: rank for rank, name in enumerate(sorted(means, key=means.__getitem__, reverse=True))}
    groups = [tuple(sorted(group, key=ranks.__getitem__)) for group in nx.find_cliques(alike)]
    return sorted(groups, key=lambda group: [ranks[name] for name in group])


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
    """Return the change of each optimizer with finals in both. Below `LEAST_UNITS` on a side none is told apart."""
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
            tested=min(len(before[name]), len(after[name])) >= LEAST_UNITS,
        )
        for name, (low, high, _), p in zip(shared, tests, corrected, strict=True)
    ]


def _welch(ones: Sequence[float], others: Sequence[float]) -> tuple[float | None, float | None, float]:
    """Interval of the difference of means and p; no p below `LEAST_UNITS`, or where nothing varies."""
    if min(len(ones), len(others)) < 2 or max(np.ptp(ones), np.ptp(others)) < 1e-12:
        return None, None, 1.0
    test = stats.ttest_ind(others, ones, equal_var=False)
    low, high = test.confidence_interval(LEVEL)
    enough = min(len(ones), len(others)) >= LEAST_UNITS
    return float(low), float(high), float(test.pvalue) if enough else 1.0


def interval_of_mean(values: Values) -> tuple[float | None, float | None]:
    """Student's 95% interval of the mean."""
    if len(values) < 2:
        return None, None
    mean, error = float(np.mean(values)), float(stats.sem(values))
    low, high = stats.t.interval(LEVEL, len(values) - 1, mean, error) if error else (mean, mean)
    return float(low), float(high)


def _holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the chance of any false claim stays under the level."""
    corrected = [1.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(values, kind="stable")):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected


def probability_above(ones: Sequence[float], others: Sequence[float]) -> float:
    """The share of all pairs in which the first is above, ties half."""
    return float(np.heaviside(np.subtract.outer(ones, others), 0.5).mean())
