"""Summarize finals, group optimizers in tiers, and compare two sweeps. Pure functions on scipy.

The intervals are Student's, since they keep their confidence with few seeds and the percentile bootstrap does not:
`python -m tests.benchmarks statistics` measures both. `studies.verdicts` compares optimizers within a sweep.
"""

import itertools
import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.config import FrozenModel
from studies.definition import LEVEL
from studies.intervals import critical_values, games_howell
from studies.requirements import LEAST_UNITS

Values = Sequence[float] | NDArray[np.float64]
AccuracyBySeed = Mapping[str, Mapping[int, float]]  # by optimizer and seed, a fraction
AccuracyByUnit = Mapping[str, Mapping[int, float]]  # by optimizer and seed or replicate, a fraction


class Summary(FrozenModel):
    """Accuracies of one optimizer's finals (fractions). `low` to `high` is the 95% interval of the mean.

    `iqm` is the interquartile mean, over the middle half (Agarwal et al. 2021). With one seed, `sd` and the interval
    are None.
    """

    seeds: int
    mean: float
    median: float
    iqm: float
    sd: float | None
    low: float | None
    high: float | None


def summarize(values: Sequence[float]) -> Summary:
    """Return the summary of one or more accuracies."""
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
    """Return tiers of optimizers that are not shown to differ, the best tier first, each sorted by mean.

    `apart` holds the pairs that are shown to differ. An optimizer that is not shown to differ from two others is in
    two tiers if those two differ (a compact letter display, Piepho 2004).
    """
    alike: nx.Graph[str] = nx.Graph()
    alike.add_nodes_from(means)
    differ = {frozenset(pair) for pair in apart}
    alike.add_edges_from(pair for pair in itertools.combinations(means, 2) if frozenset(pair) not in differ)
    ranks = {name: rank for rank, name in enumerate(sorted(means, key=means.__getitem__, reverse=True))}
    groups = [tuple(sorted(group, key=ranks.__getitem__)) for group in nx.find_cliques(alike)]
    return sorted(groups, key=lambda group: [ranks[name] for name in group])


class SweepChange(FrozenModel):
    """The change of an optimizer between two sweeps: `after` minus `before`, means of independent units (fractions).

    A unit is a final if the sweep has one replicate, else the mean of a replicate's finals; `units` names them.
    `low` to `high` is the 95% interval of the difference (Welch). `p` is corrected for all optimizers (Holm). An
    optimizer that `lost` a final in one of the sweeps is not tested: its p is 1, and it has no interval. The same is
    true of one `without_winner` in a replicate of one of the sweeps, which is in `lost` too.
    """

    optimizer: str
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None
    p: float
    tested: bool
    lost: bool = False
    without_winner: bool = False
    units: str = "seeds"

    @property
    def told_apart(self) -> bool:
        """Return whether the difference is significant."""
        return self.p < 1 - LEVEL


def sweep_changes(
    before: AccuracyByUnit, after: AccuracyByUnit, lost: Collection[str] = (), units: str = "seeds"
) -> list[SweepChange]:
    """Return the change of each optimizer with units in both sweeps; `lost` names those that lost a final.

    The units must be independent. Finals of several replicates are not: those of one replicate share its winner.
    A change with fewer than `LEAST_UNITS` units in one of the sweeps is not tested: its p is 1.
    """
    shared = [name for name in before if before[name] and after.get(name)]
    pairs = [(list(before[name].values()), list(after[name].values())) for name in shared]
    tests = [(None, None, 1.0) if name in lost else _welch(*pair) for name, pair in zip(shared, pairs, strict=True)]
    corrected = _holm([p for _, _, p in tests])
    return [
        SweepChange(
            optimizer=name,
            before=(one := float(np.mean(ones))),
            after=(other := float(np.mean(others))),
            difference=other - one,
            low=low,
            high=high,
            p=p,
            tested=name not in lost and min(len(ones), len(others)) >= LEAST_UNITS,
            lost=name in lost,
            units=units,
        )
        for name, (ones, others), (low, high, _), p in zip(shared, pairs, tests, corrected, strict=True)
    ]


def _welch(ones: Sequence[float], others: Sequence[float]) -> tuple[float | None, float | None, float]:
    """Return the interval of the difference of means, and p; p is 1 with few values, or if they do not vary."""
    counts = np.array([float(len(ones)), float(len(others))])
    if min(counts) < 2:
        return None, None, 1.0
    means, variances = (np.array([of(ones), of(others)]) for of in (np.mean, statistics.variance))
    intervals = games_howell(means, variances, counts)  # of two groups these are Welch's
    width, degrees = float(intervals.widths[0, 1]), float(intervals.degrees[0, 1])
    if not math.isfinite(width):
        return None, None, 1.0
    difference = float(means[1] - means[0])
    error = width / float(critical_values(2, intervals.degrees)[0, 1])
    p = 2 * float(stats.t.sf(abs(difference) / error, degrees))
    return difference - width, difference + width, p if min(counts) >= LEAST_UNITS else 1.0


def interval_of_mean(values: Values) -> tuple[float | None, float | None]:
    """Return Student's 95% interval of the mean; (None, None) for a single value."""
    if len(values) < 2:
        return None, None
    mean, error = float(np.mean(values)), float(stats.sem(values))
    low, high = stats.t.interval(LEVEL, len(values) - 1, mean, error) if error else (mean, mean)
    return float(low), float(high)


def names_at(values: Mapping[Any, float], value: float) -> list[str]:
    """Return the names with this value, in their order. Equal means may differ by float rounding."""
    return [str(name) for name, each in values.items() if math.isclose(each, value, rel_tol=1e-9, abs_tol=1e-9)]


def _holm(values: Sequence[float]) -> list[float]:
    """Return p values after Holm's step-down correction (1979), which bounds the risk of any false claim."""
    corrected = [1.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(values, kind="stable")):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected


def probability_above(ones: Sequence[float], others: Sequence[float]) -> float:
    """Return the share of all pairs (one, other) in which the first value is larger; equal values count half."""
    return float(np.heaviside(np.subtract.outer(ones, others), 0.5).mean())
