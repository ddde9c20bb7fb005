"""Measure where the luck in a sweep's finals comes from: seeds, searches, test images."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from harness.config import FrozenModel
from harness.records import Mistakes
from studies.definition import LEVEL
from studies.intervals import Array
from studies.requirements import LEAST_UNITS, SEEDS_APART


class Luck(FrozenModel):
    """Sources of luck in the test accuracy of a final, as standard deviations (fractions).

    `seeds` is between the seeds of one winner, `searches` between the winners of several searches. The 95% interval
    of the latter is `search_low` to `search_high` (Tukey 1951, Williams 1962). With `splits`, each replicate has a
    validation split of its own, whose luck is in `searches` too. `images` is the part of a difference between two
    optimizers' means that comes from the choice of test images; None if the finals did not record which images they
    got wrong.
    """

    seeds: float
    searches: float
    search_low: float
    search_high: float
    images: float | None = None
    splits: bool = True

    @property
    def source_of_searches(self) -> str:
        """Return what the luck of searches comes from, in words."""
        return "search and split" if self.splits else "search"

    @property
    def in_words(self) -> str:
        """Return the sources of luck as a sentence, in percentage points."""
        searches = f"{_points(self.searches)} ({_points(self.search_low)} to {_points(self.search_high)})"
        said = (
            "Sources of luck: the accuracy of one final has a standard deviation of "
            f"{_points(self.seeds)} points from its seed and {searches} from its {self.source_of_searches}"
        )
        if self.images is None:
            return f"{said}."
        images = f"{_points(self.images)} points from the choice of the test set"
        return f"{said}; the difference between two optimizers has one of {images}."


def _points(fraction: float) -> str:
    return f"{fraction * 100:.3f}"


def luck_of(accuracies: Mapping[str, Mapping[int, Mapping[int, float | None]]], splits: bool = True) -> Luck | None:
    """Return the sources of luck, given accuracies by optimizer, replicate and seed; None with too few finals.

    The estimate uses the mean squares within and between the replicates of each optimizer, pooled over optimizers. It
    needs three replicates of all optimizers, with the same number of finals in each, two or more. `splits` says
    whether each replicate has a validation split of its own.
    """
    shared = sorted(set.intersection(*map(set, accuracies.values()))) if accuracies else []
    tables = [
        [[each for _, each in sorted(of[number].items()) if each is not None] for number in shared]
        for of in accuracies.values()
    ]
    counts = {len(finals) for table in tables for finals in table}
    if len(counts) != 1 or min(counts) < 2 or len(shared) < LEAST_UNITS:
        return None
    values, finals = np.array(tables), min(counts)  # (optimizers, replicates, finals)
    units = values.mean(axis=2)
    within = float(values.var(axis=2, ddof=1).mean())
    between = finals * float(units.var(axis=1, ddof=1).mean())
    groups = _degrees(units - units.mean(axis=1, keepdims=True), len(shared) - 1)
    flat = (values - units[..., None]).reshape(len(values), -1)
    residuals = _degrees(flat, len(shared) * (finals - 1))
    tail = (1 - LEVEL) / 2

    def bound(probability: float) -> float:
        above = between - float(stats.f.isf(probability, groups, residuals)) * within
        return max(0.0, groups * above / (finals * float(stats.chi2.isf(probability, groups))))

    return Luck(
        seeds=math.sqrt(within),
        searches=math.sqrt(max(0.0, (between - within) / finals)),
        search_low=math.sqrt(bound(tail)),
        search_high=math.sqrt(bound(1 - tail)),
        splits=splits,
    )


def _degrees(residuals: Array, freedom: int) -> float:
    """Return the degrees of freedom of a variance that is the mean over optimizers (Satterthwaite 1946).

    `residuals` has a row for each optimizer, with `freedom` degrees of freedom. Optimizers share seeds and splits,
    and some vary more than others, so all rows together have fewer than their sum. With few replicates the result is
    rather too small, which makes the interval longer.
    """
    covariances = residuals @ residuals.T
    squares = float((covariances**2).sum())
    return freedom * float(np.trace(covariances)) ** 2 / squares if squares else float(freedom)


def image_luck(wrong: Mapping[str, Mapping[int, Sequence[Collection[int]]]], images: int) -> float | None:
    """Return the s.d. (fraction) of a difference between two mean accuracies that the choice of test images causes.

    `wrong` are, by optimizer and replicate, the test images (of `images`) that each final got wrong. The differences
    of a pair, image by image, vary for another reason too: finals and searches disagree. The variance of an image's
    difference over the replicates, divided by their number, is that part of it, and is subtracted. The result is the
    root mean square over all pairs; None if a pair has fewer than two replicates in common, or there is no pair.
    """
    shares = {name: {number: _shares(finals, images) for number, finals in of.items()} for name, of in wrong.items()}
    of_pairs = []
    for one, other in combinations(shares.values(), 2):
        shared = sorted(one.keys() & other.keys())
        if len(shared) < 2:
            return None
        differences = np.array([one[number] - other[number] for number in shared])  # (replicates, images)
        disagreement = float(differences.var(axis=0, ddof=1).mean()) / len(shared)
        of_pairs.append(float(differences.mean(axis=0).var(ddof=1)) - disagreement)
    return math.sqrt(max(0.0, float(np.mean(of_pairs))) / images) if of_pairs else None


def _shares(finals: Sequence[Collection[int]], images: int) -> Array:
    """Return the share of the finals that got each test image wrong."""
    every = np.concatenate([np.array(list(of), dtype=np.int64) for of in finals])
    return np.bincount(every, minlength=images) / len(finals)


def wrong_images(
    mistakes: Mapping[str, Mapping[str, Mistakes]],
) -> tuple[dict[str, dict[int, list[tuple[int, ...]]]], int] | None:
    """Return the images each final got wrong, by optimizer and replicate, and the number of images.

    None if one is unknown. `mistakes` are by optimizer and seed.
    """
    every = [each for of_seeds in mistakes.values() for each in of_seeds.values()]
    sizes = {sum(map(sum, each.confusion)) for each in every}
    if len(sizes) != 1:
        return None
    found: dict[str, dict[int, list[tuple[int, ...]]]] = {}
    for name, of_seeds in mistakes.items():
        for seed, each in of_seeds.items():
            if each.wrong is None:
                return None
            found.setdefault(name, {}).setdefault(int(seed) // SEEDS_APART + 1, []).append(each.wrong)
    return found, sizes.pop()
