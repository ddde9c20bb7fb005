"""Take the verdicts of a sweep for every pair of optimizers: on accuracy, on loss and on the time to a target."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean, median
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.config import FrozenModel
from harness.records import Outcome, Stage
from reports.winners import ENDED, Winners
from studies.definition import LEAST_UNITS, LEVEL, SweepDefinition
from studies.replicates import of_replicate
from studies.verdicts import (
    Pair,
    Verdict,
    detectable_difference,
    judge,
    margin_in,
    margin_of,
    pairs_of_finals,
    pairs_of_replicates,
    seeds_at_last_look,
    survives_search_luck,
    units_until_decided,
)

Measured = Literal["accuracy", "loss", "images_to_target"]
RATIO_MARGIN = 1.25  # times to a target whose ratio is within it are the same
LEAST_POINTS = 5  # median number of measurements until a target; with fewer there is no verdict on time
MOST_NEVER = 0.2  # share of an optimizer's finals that may miss a target; with more there is no verdict on time
# by optimizer, replicate and seed; None for a final that was lost
Values = Mapping[str, Mapping[int, Mapping[int, float | None]]]


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
    optimizers with a final that diverged or failed, or with a replicate without a winner. `target` is the accuracy
    whose time is judged, None without one. `looks` are the numbers of finals or replicates at which verdicts are
    taken; all intervals hold together, at every look, with probability `confidence`.
    """

    declared: int
    replicates: int
    used: Mapping[str, Sequence[float]]
    margin: float
    detectable: float | None
    pairs: tuple[PairVerdict, ...]
    lost: tuple[str, ...] = ()
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
    losses = _values(runs, definition, lambda row: -row["test_loss"])
    best = [mean(each.validation_accuracy for each in of) for of in winners.values() if of]
    margin = margin_in(definition, best)
    lost = _lost(accuracies, winners)
    evidence = _Evidence(definition, accuracies, margin, lost)
    found = evidence.pairs(accuracies)
    loss_margin = margin_of(_least_loss(evidence.used(losses)))
    verdicts = [evidence.verdict("accuracy", each, margin) for each in found]
    verdicts += [evidence.verdict("loss", each, loss_margin) for each in evidence.pairs(losses)]
    if target is not None:
        verdicts += evidence.on_time(target)
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
        target=target.accuracy
        if target is not None and any(v.outcome == "images_to_target" for v in verdicts)
        else None,
        looks=definition.looks_at,
        complete=len(evidence.complete),
        confidence=definition.confidence,
    )


def final_accuracies(
    runs: pd.DataFrame, definition: SweepDefinition
) -> dict[str, dict[int, dict[int, float | None]]]:
    """Return the test accuracy (fraction) of each ended final by optimizer, replicate and seed; None if lost."""
    return _values(runs, definition, lambda row: row["test_accuracy"])


def _values(
    runs: pd.DataFrame, definition: SweepDefinition, value: Callable[[Mapping[Any, Any]], float]
) -> dict[str, dict[int, dict[int, float | None]]]:
    """Return a value of each ended final by optimizer, replicate and seed; None if it was lost."""
    ended = runs[(runs["stage"] == Stage.FINAL) & runs["outcome"].isin(ENDED)]
    found: dict[str, dict[int, dict[int, float | None]]] = {}
    for name in definition.optimizers:
        for row in ended[ended["optimizer"] == name].to_dict("records"):
            completed = row["outcome"] == Outcome.COMPLETED and not pd.isna(row["test_accuracy"])
            by_seed = found.setdefault(name, {}).setdefault(int(row["replicate"]), {})
            by_seed[int(row["seed"])] = float(value(row)) if completed else None
    return found


def _lost(values: Values, winners: Winners) -> tuple[str, ...]:
    """Return the optimizers that lost a final, or that have no winner in a replicate whose finals have begun.

    The finals of a replicate begin when all its searches have ended.
    """
    begun = {number for of in values.values() for number, by_seed in of.items() if by_seed}
    found = []
    for name, of in values.items():
        won = {each.replicate for each in winners[name]} if name in winners else begun
        if begun - won or any(None in by_seed.values() for by_seed in of.values()):
            found.append(name)
    return tuple(found)


def _least_loss(losses: Mapping[str, Mapping[int, Sequence[float]]]) -> float:
    """Return the lowest mean loss of an optimizer's finals; `losses` holds negative losses."""
    known = [list(itertools.chain.from_iterable(of.values())) for of in losses.values()]
    return max(0.0, min((-mean(each) for each in known if each), default=0.0))


@dataclass(frozen=True)
class _Evidence:
    """The finals that the verdicts of a sweep use, on every outcome: those up to the last look at the accuracies.

    `lost` names the optimizers that lost a final.
    """

    definition: SweepDefinition
    accuracies: Values
    margin: float
    lost: Sequence[str]

    def pairs(self, values: Values, least_variance: float = 0.0) -> list[Pair]:
        """Return every pair of optimizers, compared by values of which the larger is better.

        A pair with an optimizer that lost a final has no interval.
        """
        level, several = self.definition.level_at(self.look), self.definition.replicates > 1
        used = self.used(values)
        units = {name: {number: mean(known) for number, known in of.items()} for name, of in used.items()}
        if several:
            judged = {name: of for name, of in units.items() if name not in self.lost}
            found = pairs_of_replicates(judged, level, least_variance / len(self.definition.final_seeds))
        else:
            samples = {name: of.get(1, []) for name, of in used.items() if name not in self.lost}
            found = pairs_of_finals(samples, level, least_variance)
        means = {name: mean(of.values()) for name, of in units.items() if of}
        for pair in itertools.combinations(means, 2):
            if set(pair) & set(self.lost):
                better, worse = sorted(pair, key=means.__getitem__, reverse=True)
                found.append(Pair(better, worse, means[better] - means[worse]))
        return found

    def used(self, values: Values) -> dict[str, dict[int, list[float]]]:
        """Return the values of the finals that the verdicts use, by optimizer and replicate; none is empty."""
        return {
            name: {
                number: known
                for number, seeds in self.seeds[name].items()
                if (known := [each for seed in seeds if (each := of.get(number, {}).get(seed)) is not None])
            }
            for name, of in values.items()
        }

    @property
    def look(self) -> int:
        """Return the last look that was reached; 0 before the first."""
        return self._at_look[0]

    @property
    def seeds(self) -> dict[str, dict[int, tuple[int, ...]]]:
        """Return the seeds of the finals that the verdicts use, by optimizer and replicate."""
        return self._at_look[1]

    @cached_property
    def _at_look(self) -> tuple[int, dict[str, dict[int, tuple[int, ...]]]]:
        definition = self.definition
        if definition.replicates > 1:
            whole = self.whole
            seen = {
                name: {number: tuple(of.get(number, ())) for number in whole} for name, of in self.accuracies.items()
            }
            return len(whole), seen
        finals = {name: of.get(1, {}) for name, of in self.accuracies.items()}
        reached, of_one = seeds_at_last_look(
            finals, definition.final_seeds, definition.looks_at, self.margin, definition.level_at
        )
        return reached, {name: {1: seeds} for name, seeds in of_one.items()}

    @cached_property
    def complete(self) -> list[int]:
        """Return the first replicates in which the finals of every optimizer have ended that did not lose any."""
        definition, values = self.definition, self.accuracies
        judged = [of for name, of in values.items() if name not in self.lost] or list(values.values())
        found: list[int] = []
        for number in range(1, definition.replicates + 1 if definition.replicates > 1 and judged else 1):
            seeds = set(of_replicate(definition, number - 1).final_seeds)
            if any(set(of.get(number, ())) < seeds for of in judged):
                break
            found.append(number)
        return found

    @property
    def whole(self) -> list[int]:
        """Return the complete replicates up to the last look; none before the first look."""
        complete = self.complete
        return complete[: max((each for each in self.definition.looks_at if each <= len(complete)), default=0)]

    def verdict(self, outcome: Measured, pair: Pair, margin: float) -> PairVerdict:
        verdict = judge(pair.low, pair.high, margin)
        of_winners = self.definition.replicates == 1 and outcome == "accuracy"
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

    def on_time(self, target: TimeToTarget) -> list[PairVerdict]:
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
                number: {seed: of(name, each) for seed, each in by_seed.items()}
                for number, by_seed in of_name.items()
            }
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
