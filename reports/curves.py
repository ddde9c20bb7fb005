"""What depends on a budget: tuning curves, performance profiles, medians of times that may never come."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from harness.config import FrozenModel


class Curve(FrozenModel):
    """A quantity over a range of budgets: its median and the middle 80% of it, from where half have one.

    An order of trials of which none has completed yet counts as an accuracy of 0.
    """

    at: tuple[float, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def tuning_curve(
    trials: Sequence[tuple[float, float]], begins: bool = False, resamplings: int = 1000
) -> Curve | None:
    """The best validation accuracy that a search would have had after so many epochs, over orders of its trials.

    `trials` are (epochs spent, accuracy; nan where it did not complete). What a user with a part of the budget would
    have got, had the trials come in another order (as Sivaprasad et al. 2020 do it): exact for random search, while a
    sampler that learns does better late. `begins`: the first trial is the published start, which always comes first.
    At most 200 budgets. None where no trial completed.
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
    # of each order, the best among the trials that had ended by then
    within = budgets * (1 + 1e-9)  # sums of fractions of epochs differ by their order
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
    """Return, for each solver, the share of problems (0 to 1) that it solves within a factor of the best one's cost.

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
