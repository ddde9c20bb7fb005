"""Take the verdicts of a sweep for every pair of optimizers: on accuracy, on loss and on the time to a target."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Literal

import numpy as np
import pandas as pd

from harness.config import FrozenModel
from reports.evidence import Evidence, Values, final_accuracies, lost_optimizers, values_of_finals, without_a_winner
from reports.winners import Winners
from studies.definition import LEVEL, SweepDefinition
from studies.requirements import LEAST_UNITS
from studies.verdicts import (
    Pair,
    Verdict,
    detectable_difference,
    judge,
    margin_in,
    margin_of,
    survives_search_luck,
    units_until_decided,
)

Measured = Literal["accuracy", "loss", "images_to_target"]
RATIO_MARGIN = 1.25  # times to a target whose ratio is within it are the same
LEAST_POINTS = 5  # median number of measurements until a target; with fewer there is no verdict on time
MOST_NEVER = 0.2  # share of an optimizer's finals that may miss a target; with more there is no verdict on time


class PairVerdict(FrozenModel):
    """The verdict on a pair in one outcome. `better` has the higher accuracy, the lower loss or fewer images.

    `difference`, `low` and `high` are fractions, nats, or ratios of images. The intervals of all pairs are
    simultaneous; without an interval, `low` and `high` are None and `p` is 1. `more` is how many finals or replicates
    would decide the pair, if the estimates stay as they are. `search_luck`, for a better winner, is the largest s.d.
    of a search's luck (fraction) at which the optimizer is better too.
    """

    outcome: Measured
    better: str
    worse: str
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict
    p: float = 1.0
    more: int | None = None
    search_luck: float | None = None

    @property
    def told_apart(self) -> bool:
        """Return whether one optimizer is shown to be better than the other, even if by less than the margin."""
        return self.verdict in (Verdict.BETTER, Verdict.SLIGHTLY_BETTER)


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of a sweep, from the first `replicates` of the `complete` ones, of `declared`.

    `used` are the accuracies of the finals used by optimizer, which may have more. `margin` is that of accuracy, and
    `detectable` the difference that 80% of sweeps would find (fractions; None if the spread is unknown). `lost` names
    optimizers with a final that diverged or failed, or with a replicate without a winner; `without_winner` only the
    latter. `target` is the accuracy whose time is judged, None without one. `looks` are the numbers of finals or
    replicates at which verdicts are taken; all intervals hold together, at every look, with probability `confidence`.
    """

    declared: int
    replicates: int
    used: Mapping[str, Sequence[float]]
    margin: float
    detectable: float | None
    pairs: tuple[PairVerdict, ...]
    lost: tuple[str, ...] = ()
    without_winner: tuple[str, ...] = ()
    target: float | None = None
    looks: tuple[int, ...] = (LEAST_UNITS,)
    complete: int = 0
    confidence: float = LEVEL

    @property
    def of_optimizers(self) -> bool:
        """Return whether the verdicts are about the way of tuning, not only about the winners of one search."""
        return self.declared > 1

    @property
    def enough(self) -> bool:
        """Return whether there are enough replicates, or finals of two optimizers, for a verdict."""
        if self.of_optimizers:
            return self.replicates >= LEAST_UNITS
        return sum(len(finals) >= LEAST_UNITS for finals in self.used.values()) > 1

    @property
    def accuracy(self) -> list[PairVerdict]:
        """Return the verdicts on accuracy."""
        return [each for each in self.pairs if each.outcome == "accuracy"]

    @property
    def population(self) -> str:
        """Return what the verdicts are about, as a clause."""
        if self.of_optimizers:
            return "this way of tuning, with new searches and new seeds, on this test set"
        return "these winners, on new seeds and this test set"

    @property
    def assurance(self) -> str:
        """Return in how many sweeps all intervals are correct, as a clause."""
        looks = ", at every look," if len(self.looks) > 1 else ""
        correct = f"all intervals are correct at the same time{looks} in at least"
        if self.confidence == LEVEL:
            return f"{correct} 19 of 20 such sweeps"
        return f"{correct} 9 of 10 such sweeps, not in 19 of 20, since looks were added after it had begun"


@dataclass(frozen=True)
class TimeToTarget:
    """The images until each final's first measurement at or above a target accuracy, infinite if there is none.

    `points` is the median number of measurements until then, by optimizer; `horizon` the images of a whole final,
    by optimizer. `least_variance` is the variance of log(images) that comes from measuring only at points.
    """

    accuracy: float
    images: Values
    points: Mapping[str, float]
    horizon: Mapping[str, float]
    least_variance: float


def find_verdicts(
    runs: pd.DataFrame, definition: SweepDefinition, winners: Winners, target: TimeToTarget | None = None
) -> Verdicts:
    """Take the verdicts from the finals in `runs`, which must not hold finals of earlier winners.

    They use the finals up to the last look that is complete; with several replicates, the mean of each replicate's
    finals. An optimizer that lost a final is never shown to be better or the same, and changes no verdict on others.
    """
    accuracies = final_accuracies(runs, definition)
    losses = values_of_finals(runs, definition, lambda row: -row["test_loss"])
    best = [mean(each.validation_accuracy for each in of) for of in winners.values() if of]
    margin = margin_in(definition, best)
    lost = lost_optimizers(accuracies, winners)
    evidence = Evidence(definition, accuracies, margin, lost)
    found = evidence.pairs(accuracies)
    loss_margin = margin_of(_least_loss(evidence.used(losses)))
    verdicts = [_verdict("accuracy", each, margin, definition.replicates) for each in found]
    verdicts += [_verdict("loss", each, loss_margin, definition.replicates) for each in evidence.pairs(losses)]
    if target is not None:
        verdicts += _on_time(evidence, target)
    widths = [each for pair in found if (each := detectable_difference(pair)) is not None]
    return Verdicts(
        declared=definition.replicates,
        replicates=len(evidence.whole),
        used={
            name: tuple(itertools.chain.from_iterable(of.values())) for name, of in evidence.used(accuracies).items()
        },
        margin=margin,
        detectable=median(widths) if widths else None,
        pairs=tuple(verdicts),
        lost=lost,
        without_winner=without_a_winner(accuracies, winners),
        target=target.accuracy
        if target is not None and any(v.outcome == "images_to_target" for v in verdicts)
        else None,
        looks=definition.looks_at,
        complete=len(evidence.complete),
        confidence=definition.confidence,
    )


def _least_loss(losses: Mapping[str, Mapping[int, Sequence[float]]]) -> float:
    """Return the lowest mean loss of an optimizer's finals; `losses` holds negative losses."""
    known = [list(itertools.chain.from_iterable(of.values())) for of in losses.values()]
    return max(0.0, min((-mean(each) for each in known if each), default=0.0))


def _verdict(outcome: Measured, pair: Pair, margin: float, replicates: int) -> PairVerdict:
    verdict = judge(pair.low, pair.high, margin)
    of_winners = replicates == 1 and outcome == "accuracy"
    is_better = verdict in (Verdict.BETTER, Verdict.SLIGHTLY_BETTER)
    return PairVerdict(
        outcome=outcome,
        better=pair.better,
        worse=pair.worse,
        difference=pair.difference,
        low=pair.low,
        high=pair.high,
        verdict=verdict,
        p=pair.p,
        more=units_until_decided(pair, margin) if verdict is Verdict.UNDECIDED else None,
        search_luck=survives_search_luck(pair) if of_winners and is_better else None,
    )


def _on_time(evidence: Evidence, target: TimeToTarget) -> list[PairVerdict]:
    """Return verdicts on the ratio of images; none if the target is reached too early or missed too often."""
    known = {
        name: [each for by_seed in of.values() for each in by_seed.values() if each is not None]
        for name, of in target.images.items()
    }
    known = {name: images for name, images in known.items() if images}
    never = any(np.mean(np.isinf(images)) > MOST_NEVER for images in known.values())
    if never or min(target.points.values(), default=0) < LEAST_POINTS:
        return []

    def of(name: str, images: float | None) -> float | None:
        return None if images is None else -math.log(min(images, target.horizon[name]))

    logs = {
        name: {
            number: {seed: of(name, each) for seed, each in by_seed.items()} for number, by_seed in of_name.items()
        }
        for name, of_name in target.images.items()
    }
    pairs = evidence.pairs(logs, target.least_variance)
    found = [
        _verdict("images_to_target", pair, math.log(RATIO_MARGIN), evidence.definition.replicates) for pair in pairs
    ]
    return [
        each.model_copy(
            update={
                "difference": math.exp(each.difference),
                "low": None if each.low is None else math.exp(each.low),
                "high": None if each.high is None else math.exp(each.high),
            }
        )
        for each in found
    ]
