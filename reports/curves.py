"""Compute what depends on a budget: tuning curves, performance profiles, medians of times that may be infinite."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from harness.config import FrozenModel


class Curve(FrozenModel):
    """A tuning curve: for each budget in `at`, the median over orders of trials and the bounds of the middle 80%.

    It begins at the budget where at least half of the orders of trials have a completed trial; an order without one
    counts as an accuracy of 0.
    """

    at: tuple[float, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def tuning_curve(
    trials: Sequence[tuple[float, float]], begins: bool = False, resamplings: int = 1000
) -> Curve | None:
    """Return the best validation accuracy after each budget in epochs, over random orders of the trials.

    `trials` are pairs (epochs spent, accuracy; nan if the trial did not complete). The curve estimates what a smaller
    budget would have found (Sivaprasad et al. 2020). It is exact for random search; a sampler that learns does better
    late in the search. `begins` keeps the first trial, the published start, first in every order. The curve has at
    most 200 budgets. None if no trial completed.
    """
    if not any(spent for spent, _ in trials):
        return None
    epochs = np.array([spent for spent, _ in trials])
    accuracies = np.nan_to_num([accuracy for _, accuracy in trials])
    generator = np.random.default_rng(0)
    orders = np.tile(np.arange(len(trials)), (resamplings, 1))
    orders[:, int(begins) :] = generator.permuted(orders[:, int(begins) :], axis=1)
    spent = epochs[orders].cumsum(axis=1)
    best = np.maximum.accumulate(accuracies[orders], axis=1)
    budgets = np.linspace(epochs[epochs > 0].min(), epochs.sum(), 200)
    # in each order, the best of the trials that had ended at each budget
    within = budgets * (1 + 1e-9)  # sums of the same fractions differ slightly with their order
    ended = np.stack([np.searchsorted(row, within, side="right") for row in spent])
    values = np.where(ended > 0, np.take_along_axis(best, np.maximum(ended - 1, 0), axis=1), 0.0)
    low, median, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
    there = median > 0
    if not there.any():
        return None
    return Curve(
        at=budgets[there].tolist(), median=median[there].tolist(), low=low[there].tolist(), high=high[there].tolist()
    )


def performance_profile(costs: Mapping[str, Sequence[float]]) -> dict[str, list[tuple[float, float]]]:
    """Return for each solver the share of problems (0 to 1) that it solves within a factor of the lowest cost.

    `costs` are by solver, over the same problems in the same order, infinite for an unsolved one. The result is a
    list of steps (factor, share), from factor 1 on (Dolan and Moré 2002). A problem that no solver solves counts as
    unsolved for all.
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
    """Return the median; None if it is infinite, because at least half of the values are."""
    median = float(np.median(values))
    return median if math.isfinite(median) else None
