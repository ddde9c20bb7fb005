"""Measure where the luck in a sweep's finals comes from: seeds, searches, test images."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from harness.config import FrozenModel
from harness.records import Mistakes
from studies.definition import LEAST_UNITS, LEVEL


class Luck(FrozenModel):
    """Sources of luck in the test accuracy of a final, as standard deviations (fractions).

    `seeds` is between the seeds of one winner, `searches` between the winners of several searches. The 95% interval
    of the latter is `search_low` to `search_high` (Tukey 1951, Williams 1962). `images` is the part of a difference
    between two optimizers' means that comes from the choice of test images; None if the finals did not record which
    images they got wrong.
    """

    seeds: float
    searches: float
    search_low: float
    search_high: float
    images: float | None = None

    @property
    def in_words(self) -> str:
        """Return the sources of luck as a sentence, in percentage points."""
        searches = f"{_points(self.searches)} ({_points(self.search_low)} to {_points(self.search_high)})"
        said = (
            "Sources of luck: the accuracy of one final has a standard deviation of "
            f"{_points(self.seeds)} points from its seed and {searches} from its search and split"
        )
        if self.images is None:
            return f"{said}."
        images = f"{_points(self.images)} points from the choice of the test set"
        return f"{said}; the difference between two optimizers has one of {images}."


def _points(fraction: float) -> str:
    return f"{fraction * 100:.3f}"


def luck_of(accuracies: Mapping[str, Mapping[int, Mapping[int, float | None]]]) -> Luck | None:
    """Return the sources of luck, given accuracies by optimizer, replicate and seed; None with too few finals.

    The estimate uses the mean squares within and between the replicates of each optimizer, pooled over optimizers. It
    needs three replicates with two finals each, and the same number of finals in each.
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
    """Return the s.d. (fraction) of a difference between two mean accuracies that the choice of test images causes.

    `wrong` are, by optimizer, the test images (of `images`) that each final got wrong. The differences of a pair,
    image by image, vary for another reason too: two finals of one optimizer disagree. That part of the variance,
    p (1 - p) / (k - 1) for k finals of which a share p is wrong, is subtracted. The result is the root mean square
    over all pairs; None if an optimizer has fewer than two finals, or there is only one optimizer.
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
    """Return, by optimizer, the images each final got wrong, and the number of images; None if one is unknown."""
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
