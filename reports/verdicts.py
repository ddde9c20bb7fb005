"""The verdicts of a sweep: on accuracy, on loss and on the time to a target, each for every pair of optimizers."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.config import FrozenModel
from harness.records import Outcome, Stage
from reports.winners import ENDED, Winners
from studies.definition import LEAST_UNITS, SweepDefinition
from studies.replicates import of_replicate
from studies.verdicts import (
    Pair,
    Verdict,
    at_last_look,
    detectable_difference,
    judge,
    margin_in,
    margin_of,
    pairs_of_finals,
    pairs_of_replicates,
    survives_search_luck,
    units_until_decided,
)

Measured = Literal["accuracy", "loss", "images_to_target"]
RATIO_MARGIN = 1.25  # of times to a target, within which they are the same
LEAST_POINTS = 5  # at which a course was measured before the median reaches a target, for a verdict on it
MOST_NEVER = 0.2  # of an optimizer's finals that may miss a target, for a verdict on it
# by optimizer, replicate and seed; None of a final that was lost
Values = Mapping[str, Mapping[int, Mapping[int, float | None]]]


class PairVerdict(FrozenModel):
    """What the finals say of a pair in one outcome. `better` has the higher accuracy, lower loss or fewer images.

    Differences are fractions, nats, or ratios of images; `low` and `high` hold together with those of all pairs, and
    are None where nothing can be said, and `p` is 1 then. `more`: how many finals or replicates would decide it, as
    things stand.
    `search_luck`: of a better winner, the s.d. of a search's luck (fraction) up to which the optimizer is better too.
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
        """Whether one is shown to be better than the other, by however little."""
        return self.verdict in (Verdict.BETTER, Verdict.SLIGHTLY_BETTER)


@dataclass(frozen=True)
class Verdicts:
    """All of a sweep's. `replicates` are whole, of `declared`; `finals` are what each optimizer's verdict rests on.

    `margin` is of accuracy, `detectable` the difference that would be found in 80% of sweeps (fractions; None where
    nothing is known of the spread). `lost`: the optimizers of which a final diverged or failed. `target` is the
    accuracy whose time is tested, None where none is. `looks`: the numbers of finals or replicates at which verdicts
    are taken.
    """

    declared: int
    replicates: int
    finals: Mapping[str, int]
    margin: float
    detectable: float | None
    pairs: tuple[PairVerdict, ...]
    lost: tuple[str, ...] = ()
    target: float | None = None
    looks: tuple[int, ...] = (LEAST_UNITS,)

    @property
    def of_optimizers(self) -> bool:
        """Whether they are about this way of tuning, not about the winners that one search found."""
        return self.declared > 1

    @property
    def enough(self) -> bool:
        """Whether there are finals of two optimizers, or replicates, enough for a verdict."""
        if self.of_optimizers:
            return self.replicates >= LEAST_UNITS
        return sum(count >= LEAST_UNITS for count in self.finals.values()) > 1

    @property
    def accuracy(self) -> list[PairVerdict]:
        """Return the verdicts on accuracy."""
        return [each for each in self.pairs if each.outcome == "accuracy"]

    @property
    def population(self) -> str:
        """Say what they are about, as a clause."""
        if self.of_optimizers:
            return "this way of tuning, with new searches and new seeds, on this test set"
        return "these winners, on new seeds and this test set"


@dataclass(frozen=True)
class TimeToTarget:
    """The images until each final's first point at or above a target accuracy, infinite where it never came there.

    `points` is the median number of points until then, by optimizer, and `horizon` the images of a whole final.
    `least_variance` is that of the logarithm of images which are only known to a point.
    """

    accuracy: float
    images: Values
    points: Mapping[str, float]
    horizon: float
    least_variance: float


def find_verdicts(
    runs: pd.DataFrame, definition: SweepDefinition, winners: Winners, target: TimeToTarget | None = None
) -> Verdicts:
    """Take the verdicts of the finals in the frame of runs, which holds none of earlier winners.

    With one replicate they are of the finals until the last look that was reached; with several, of the means of the
    whole ones. An optimizer that lost a final is shown to be neither better nor the same.
    """
    accuracies = final_accuracies(runs, definition)
    losses = _values(runs, definition, lambda row: -row["test_loss"])
    best = [mean(each.validation_accuracy for each in of) for of in winners.values() if of]
    margin = margin_in(definition, best)
    lost = tuple(name for name, of in accuracies.items() if any(None in by_seed.values() for by_seed in of.values()))
    evidence = _Evidence(definition, margin, lost)
    found = evidence.pairs(accuracies)
    verdicts = [evidence.verdict("accuracy", each, margin) for each in found]
    verdicts += [evidence.verdict("loss", each, margin_of(_least_loss(losses))) for each in evidence.pairs(losses)]
    if target is not None:
        verdicts += evidence.on_time(target)
    widths = [each for pair in found if (each := detectable_difference(pair)) is not None]
    return Verdicts(
        declared=definition.replicates,
        replicates=len(evidence.whole(accuracies)),
        finals=evidence.counts(accuracies),
        margin=margin,
        detectable=median(widths) if widths else None,
        pairs=tuple(verdicts),
        lost=lost,
        target=target.accuracy
        if target is not None and any(v.outcome == "images_to_target" for v in verdicts)
        else None,
        looks=definition.looks_at,
    )


def final_accuracies(
    runs: pd.DataFrame, definition: SweepDefinition
) -> dict[str, dict[int, dict[int, float | None]]]:
    """Return that of each final that has ended (a fraction), by optimizer, replicate and seed; None of a lost one."""
    return _values(runs, definition, lambda row: row["test_accuracy"])


def _values(
    runs: pd.DataFrame, definition: SweepDefinition, value: Callable[[Mapping[Any, Any]], float]
) -> dict[str, dict[int, dict[int, float | None]]]:
    """Return a value of each final, by optimizer, replicate and seed."""
    ended = runs[(runs["stage"] == Stage.FINAL) & runs["outcome"].isin(ENDED)]
    found: dict[str, dict[int, dict[int, float | None]]] = {}
    for name in definition.optimizers:
        for row in ended[ended["optimizer"] == name].to_dict("records"):
            completed = row["outcome"] == Outcome.COMPLETED and not pd.isna(row["test_accuracy"])
            by_seed = found.setdefault(name, {}).setdefault(int(row["replicate"]), {})
            by_seed[int(row["seed"])] = float(value(row)) if completed else None
    return found


def _least_loss(losses: Values) -> float:
    """Return the lowest mean loss of an optimizer's finals, given the losses' negatives."""
    known = [[each for by in of.values() for each in by.values() if each is not None] for of in losses.values()]
    return max(0.0, min((-mean(each) for each in known if each), default=0.0))


@dataclass(frozen=True)
class _Evidence:
    """How a sweep's finals are compared."""

    definition: SweepDefinition
    margin: float
    lost: Sequence[str]

    def pairs(self, values: Values, least_variance: float = 0.0) -> list[Pair]:
        """Return every pair of optimizers by these values, of which larger is better."""
        definition = self.definition
        if definition.replicates > 1:
            whole = self.whole(values)
            units = {
                name: {
                    number: mean(known)
                    for number in whole
                    if (known := [each for each in of.get(number, {}).values() if each is not None])
                }
                for name, of in values.items()
            }
            return pairs_of_replicates(units, definition.level, least_variance / len(definition.final_seeds))
        return pairs_of_finals(self.seen(values), definition.level, least_variance)

    def seen(self, values: Values) -> dict[str, list[float]]:
        """Return the finals until the last look that was reached."""
        definition = self.definition
        finals = {name: of.get(1, {}) for name, of in values.items()}
        _, seen = at_last_look(finals, definition.final_seeds, definition.looks_at, self.margin, definition.level)
        return seen

    def whole(self, values: Values) -> list[int]:
        """Return the replicates of which every optimizer's finals have ended, until the last look."""
        definition = self.definition
        if definition.replicates == 1:
            return []
        whole = []
        for number in range(1, definition.replicates + 1):
            seeds = set(of_replicate(definition, number - 1).final_seeds)
            if not values or any(set(of.get(number, ())) < seeds for of in values.values()):
                break
            whole.append(number)
        look = max((each for each in definition.looks_at if each <= len(whole)), default=len(whole))
        return whole[:look]

    def counts(self, values: Values) -> dict[str, int]:
        if self.definition.replicates == 1:
            return {name: len(seen) for name, seen in self.seen(values).items()}
        return {
            name: sum(each is not None for number in self.whole(values) for each in of.get(number, {}).values())
            for name, of in values.items()
        }

    def verdict(self, outcome: Measured, pair: Pair, margin: float) -> PairVerdict:
        is_lost = pair.better in self.lost or pair.worse in self.lost
        low, high = (None, None) if is_lost else (pair.low, pair.high)
        verdict = judge(low, high, margin)
        units = self._units()
        of_winners = self.definition.replicates == 1 and outcome == "accuracy"
        is_better = verdict in (Verdict.BETTER, Verdict.SLIGHTLY_BETTER)
        return PairVerdict(
            outcome=outcome,
            better=pair.better,
            worse=pair.worse,
            difference=pair.difference,
            low=low,
            high=high,
            verdict=verdict,
            p=1.0 if is_lost else pair.p,
            more=None if is_lost or verdict is not Verdict.UNDECIDED else units_until_decided(pair, margin, units),
            search_luck=survives_search_luck(pair) if of_winners and is_better else None,
        )

    def on_time(self, target: TimeToTarget) -> list[PairVerdict]:
        """Take verdicts on the ratio of images to a target, unless it is too near the beginning or often missed."""
        known = {
            name: [each for by_seed in of.values() for each in by_seed.values() if each is not None]
            for name, of in target.images.items()
        }
        known = {name: images for name, images in known.items() if images}
        never = any(np.mean(np.isinf(images)) > MOST_NEVER for images in known.values())
        if never or min(target.points.values(), default=0) < LEAST_POINTS:
            return []

        def of(images: float | None) -> float | None:
            return None if images is None else -math.log(min(images, target.horizon))

        logs = {
            name: {number: {seed: of(each) for seed, each in by_seed.items()} for number, by_seed in of_name.items()}
            for name, of_name in target.images.items()
        }
        pairs = self.pairs(logs, target.least_variance)
        found = [self.verdict("images_to_target", pair, math.log(RATIO_MARGIN)) for pair in pairs]
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

    def _units(self) -> int:
        return self.definition.replicates if self.definition.replicates > 1 else len(self.definition.final_seeds)
