"""Simulated finals of many sweeps at once, as arrays, and what the verdicts make of them.

Accuracies are in points. Noise is of one seed; the luck of a search is what optimizers differ by because of what
their searches found, and is skewed to the left: a search can miss much, and win little.
"""

from collections.abc import Iterator

import numpy as np

from studies.definition import FINALS_RISK, LEVEL
from studies.intervals import Intervals, games_howell
from studies.verdicts import NOISY_SHARE

MARGIN = 0.2
SPREADS = (0.05, 0.08, 0.05, 0.17, 0.20)  # s.d. of a seed by optimizer, as a sweep of the chapter's network had them
NOISES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "skewed": lambda rng, size: (4 - rng.gamma(4, 1, size)) / 2,
    "heavy": lambda rng, size: rng.standard_t(5, size) / np.sqrt(5 / 3),
}


def finals(
    rng: np.random.Generator,
    sweeps: int,
    seeds: int,
    spreads: tuple[float, ...] = SPREADS,
    noise: str = "skewed",
    means: tuple[float, ...] | float = 0.0,
    shared: float = 0.05,
) -> np.ndarray:
    """Return accuracies (sweeps, optimizers, seeds); `shared` is the s.d. of what a seed has for all of them."""
    size = (sweeps, len(spreads), seeds)
    luck = NOISES[noise](rng, size) * np.array(spreads)[:, None] + shared * rng.normal(size=(sweeps, 1, seeds))
    return luck + np.broadcast_to(means, len(spreads))[:, None]


def replicates(
    rng: np.random.Generator,
    sweeps: int,
    count: int,
    search_luck: float,
    spreads: tuple[float, ...] = SPREADS,
    means: tuple[float, ...] | float = 0.0,
    each: int = 2,
) -> np.ndarray:
    """Return the means of each replicate's finals (sweeps, optimizers, replicates)."""
    searches = search_luck * NOISES["skewed"](rng, (sweeps, len(spreads), count))
    of_finals = [finals(rng, sweeps, count, spreads, means=means) for _ in range(each)]
    return np.mean(of_finals, axis=0) + searches


def at_looks(
    values: np.ndarray, looks: tuple[int, ...], margin: float = MARGIN
) -> tuple[list[Intervals], np.ndarray]:
    """Return the intervals at each look, and how many finals each optimizer had, (sweeps, optimizers), at the last.

    After a look those that an undecided pair needs train until the next, as `in_need_of_finals` says.
    """
    level = 1 - FINALS_RISK * (1 - LEVEL) / len(looks)
    counts = np.zeros(values.shape[:2], dtype=int)
    more = np.ones(values.shape[:2], dtype=bool)
    found = []
    for look in looks:
        counts = np.where(more, look, counts)
        seen = np.arange(values.shape[2]) < counts[..., None]
        means = np.where(seen, values, 0).sum(axis=2) / counts
        variances = np.where(seen, (values - means[..., None]) ** 2, 0).sum(axis=2) / (counts - 1)
        found.append(games_howell(means, variances, counts.astype(float), level))
        more = needed(found[-1], means, variances, counts, margin)
    return found, counts


def needed(of: Intervals, means: np.ndarray, variances: np.ndarray, counts: np.ndarray, margin: float) -> np.ndarray:
    """Return which optimizers train on, (sweeps, optimizers): noisy members of undecided pairs."""
    undecided = ~(better(of) | same(of, margin)) & ~np.eye(means.shape[1], dtype=bool)
    errors = variances / counts
    noisy = errors[..., :, None] >= NOISY_SHARE * (errors[..., :, None] + errors[..., None, :])
    return (undecided & noisy).any(axis=2)


def better(of: Intervals) -> np.ndarray:
    """Return which pairs are shown to differ, (..., optimizers, optimizers)."""
    return np.abs(of.differences) > of.widths


def same(of: Intervals, margin: float) -> np.ndarray:
    """Return which pairs are shown to be the same within the margin."""
    return np.abs(of.differences) + of.widths <= margin


def of_pairs(values: np.ndarray) -> np.ndarray:
    """Return the values of each pair once, (..., pairs)."""
    return values[..., *np.triu_indices(values.shape[-1], 1)]


def sweeps(count: int, seeds: int, effect: float = 0.0) -> Iterator[dict[str, dict[int, float]]]:
    """Return sweeps of five optimizers, `a` better by `effect`: accuracies (fractions) in steps of 1/10,000."""
    rng = np.random.default_rng([seeds, round(effect * 1e6)])
    equal = finals(rng, count, seeds, (0.1,) * 5, "normal")
    for values in 0.985 + equal / 100:
        values[0] += effect
        yield {name: dict(enumerate(np.round(row, 4).tolist(), 1)) for name, row in zip("abcde", values, strict=True)}
