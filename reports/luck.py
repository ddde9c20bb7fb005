"""Where the luck in a sweep's finals comes from: their seeds, the searches, the test images."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from harness.config import FrozenModel
from harness.records import Mistakes
from studies.definition import LEAST_UNITS, LEVEL


class Luck(FrozenModel):
    """Standard deviations of a final's test accuracy (fractions): of its seed, and of the search that it is of.

    `search_low` and `search_high` hold the search's with 95% confidence (Tukey 1951, Williams 1962). `images` is that
    of the difference between two optimizers' means that comes from which test images were drawn; None where the
    finals don't say which images they got wrong.
    """

    seeds: float
    searches: float
    search_low: float
    search_high: float
    images: float | None = None

    @property
    def in_words(self) -> str:
        """Say it as a sentence, in points."""
        searches = f"{_points(self.searches)} ({_points(self.search_low)} to {_points(self.search_high)})"
        said = (
            "Where the luck comes from: the accuracy of one final has a standard deviation of "
            f"{_points(self.seeds)} points by its seed and {searches} by its search and split"
        )
        if self.images is None:
            return f"{said}."
        images = f"{_points(self.images)} points by what is in the test set"
        return f"{said}; the difference between two optimizers has one of {images}."


def _points(fraction: float) -> str:
    return f"{fraction * 100:.3f}"


def luck_of(accuracies: Mapping[str, Mapping[int, Mapping[int, float | None]]]) -> Luck | None:
    """Return where the luck comes from, given finals by optimizer, replicate and seed; None where they don't say it.

    From the mean squares within and between the replicates of each optimizer, of all optimizers together. It takes
    three replicates of two finals each, and as many finals in each.
    """
    tables = [
        [[each for each in by_seed.values() if each is not None] for by_seed in of.values()]
        for of in accuracies.values()
    ]
    counts = {len(finals) for table in tables for finals in table}
    if len(counts) != 1 or min(counts) < 2 or min(map(len, tables)) < LEAST_UNITS:
        return None
    finals = min(counts)
    arrays = [np.array(table) for table in tables]
    within = float(np.mean([array.var(axis=1, ddof=1).mean() for array in arrays]))
    between = finals * float(np.mean([array.mean(axis=1).var(ddof=1) for array in arrays]))
    groups = sum(len(array) - 1 for array in arrays)
    residuals = sum(array.size - len(array) for array in arrays)
    tail = (1 - LEVEL) / 2

    def bound(probability: float) -> float:
        above = between - float(stats.f.isf(probability, groups, residuals)) * within
        return max(0.0, groups * above / (finals * float(stats.chi2.isf(probability, groups))))

    return Luck(
        seeds=math.sqrt(within),
        searches=math.sqrt(max(0.0, (between - within) / finals)),
        search_low=math.sqrt(bound(tail)),
        search_high=math.sqrt(bound(1 - tail)),
    )


def image_luck(wrong: Mapping[str, Sequence[Collection[int]]], images: int) -> float | None:
    """Return the s.d. of a difference between two optimizers' mean accuracies that is due to the drawn test images.

    `wrong` are, by optimizer, the test images that each final got wrong, of so many `images`. The differences of a
    pair, image by image, vary by more than the images: two finals of one optimizer disagree too. That part of the
    variance, p (1 - p) / (k - 1) of k finals of which a share p is wrong, is taken off. The result is the root mean
    square of all pairs, a fraction; None where an optimizer has fewer than two finals, or there is no pair.
    """
    if len(wrong) < 2 or min(map(len, wrong.values())) < 2:
        return None
    shares = [
        np.bincount(np.concatenate([np.array(list(of), dtype=np.int64) for of in finals]), minlength=images)
        / len(finals)
        for finals in wrong.values()
    ]
    flips = [
        float(np.mean(share * (1 - share))) / (len(finals) - 1)
        for share, finals in zip(shares, wrong.values(), strict=True)
    ]
    of_pairs = [
        float(np.var(shares[one] - shares[other], ddof=1)) - flips[one] - flips[other]
        for one, other in combinations(range(len(shares)), 2)
    ]
    return math.sqrt(max(0.0, float(np.mean(of_pairs))) / images)


def wrong_images(
    mistakes: Mapping[str, Mapping[str, Mistakes]],
) -> tuple[dict[str, list[tuple[int, ...]]], int] | None:
    """Return the images that each final got wrong, by optimizer, and of how many; None where one does not say it."""
    every = [each for of_seeds in mistakes.values() for each in of_seeds.values()]
    sizes = {sum(map(sum, each.confusion)) for each in every}
    if len(sizes) != 1:
        return None
    found: dict[str, list[tuple[int, ...]]] = {}
    for name, of_seeds in mistakes.items():
        for each in of_seeds.values():
            if each.wrong is None:
                return None
            found.setdefault(name, []).append(each.wrong)
    return found, sizes.pop()
