"""Find the finals that the verdicts of a sweep use, and compare each pair of optimizers by a value of them."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import Any

import pandas as pd

from harness.records import Outcome, Stage
from reports.winners import ENDED, Winners
from studies.definition import SweepDefinition
from studies.replicates import of_replicate
from studies.verdicts import Pair, pairs_of_finals, pairs_of_replicates, seeds_at_last_look

# by optimizer, replicate and seed; None for a final that was lost
Values = Mapping[str, Mapping[int, Mapping[int, float | None]]]


def final_accuracies(
    runs: pd.DataFrame, definition: SweepDefinition
) -> dict[str, dict[int, dict[int, float | None]]]:
    """Return the test accuracy (fraction) of each ended final by optimizer, replicate and seed; None if lost."""
    return values_of_finals(runs, definition, lambda row: row["test_accuracy"])


def values_of_finals(
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


def lost_optimizers(values: Values, winners: Winners) -> tuple[str, ...]:
    """Return the optimizers that lost a final, or that have no winner in a replicate whose finals have begun."""
    without = without_a_winner(values, winners)
    return tuple(
        name for name, of in values.items() if name in without or any(None in each.values() for each in of.values())
    )


def without_a_winner(values: Values, winners: Winners) -> tuple[str, ...]:
    """Return the optimizers with finals that have no winner in a replicate whose finals have begun.

    The finals of a replicate begin when all its searches have ended.
    """
    begun = {number for of in values.values() for number, by_seed in of.items() if by_seed}
    return tuple(name for name in values if name in winners and begun - {each.replicate for each in winners[name]})


@dataclass(frozen=True)
class Evidence:
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
