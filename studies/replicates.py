"""What each replicate of a sweep does: its seeds, its split, how its winners are confirmed, and where it starts."""

import itertools
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from harness.config import DatasetConfig, with_settings
from studies.definition import SEEDS_APART, SweepDefinition

CONFIRM_FROM, CONFIRM_MORE_FROM = 8, 20  # trials that the budget pays; with fewer it costs more than it finds
CONFIRMING_SEED = 901  # the first of those on which winners are confirmed


def of_replicate(definition: SweepDefinition, number: int) -> SweepDefinition:
    """Return what the replicate of that number does, counted from 0: the same with other seeds and another split.

    A user's own dataset keeps its split, which decides its test set too.
    """
    if number == 0:
        return definition
    apart, data = number * SEEDS_APART, definition.base.dataset
    split = {"dataset.split_seed": data.split_seed + apart} if isinstance(data, DatasetConfig) else {}
    return definition.model_copy(
        update={
            "base": with_settings(definition.base, {"seed": definition.base.seed + apart, **split}),
            "final_seeds": tuple(seed + apart for seed in definition.final_seeds),
            "seed": definition.seed + apart,
        }
    )


def published_start(definition: SweepDefinition, name: str) -> dict[str, Any] | None:
    """Return the published start of that optimizer's study; None where a dimension of it has none."""
    searched = definition.searched(name)
    drawn: dict[str, Any] = {key: each.start_drawn() for key, each in searched.items()}
    if any(each is None for each in drawn.values()):
        return None
    return {key: searched[key].value(each) for key, each in drawn.items()}


def is_published_start(definition: SweepDefinition, name: str, settings: Mapping[str, Any]) -> bool:
    """Judge whether these settings of an optimizer, by config key, are its published start where it is searched."""
    start = published_start(definition, name) or {}
    return start != {} and all(key in settings and settings[key] == value for key, value in start.items())


def confirming(definition: SweepDefinition) -> tuple[tuple[int, int], ...]:
    """Return how winners are confirmed: of how many trials, the best, on how many further seeds; then of fewer."""
    if not definition.confirm or definition.trials < CONFIRM_FROM:
        return ()
    return ((2, 1),) if definition.trials < CONFIRM_MORE_FROM else ((4, 1), (2, 2))


def search_budget(definition: SweepDefinition) -> int:
    """Return how many epochs of an optimizer's budget are for its search, the others to confirm its winner."""
    return definition.budget - definition.trial_epochs * sum(count * seeds for count, seeds in confirming(definition))


def confirming_seeds(definition: SweepDefinition) -> list[tuple[int, ...]]:
    """Return the seeds of each round of confirmation: neither the search's nor a final's."""
    seed = definition.base.seed
    first = CONFIRMING_SEED + seed - seed % SEEDS_APART
    fresh = (each for each in itertools.count(first) if each not in (seed, *definition.final_seeds))
    return [tuple(itertools.islice(fresh, seeds)) for _, seeds in confirming(definition)]


def to_confirm(
    definition: SweepDefinition, accuracies: Mapping[int, float], confirmed: Mapping[int, Sequence[float]]
) -> list[list[int]]:
    """Return the trials of each round of confirmation whose members are known, by their numbers, the best first.

    `accuracies` are those of the trials that completed, by number; `confirmed` those on further seeds, in the order
    of the seeds, 0 where a run diverged. A round is known once all of the round before have theirs.
    """
    rounds: list[list[int]] = []
    candidates = list(accuracies)
    needed = 0
    for count, seeds in confirming(definition):
        if any(len(confirmed.get(number, ())) < needed for number in candidates):
            break
        candidates = _best_first(candidates, accuracies, confirmed, needed)[:count]
        rounds.append(candidates)
        needed += seeds
    return rounds


def winner_of(
    definition: SweepDefinition, accuracies: Mapping[int, float], confirmed: Mapping[int, Sequence[float]]
) -> tuple[int, float] | None:
    """Return the winning trial's number, and its mean validation accuracy over all its seeds; None without a trial.

    Of equal ones the earlier trial wins. Before all are confirmed, what is known decides.
    """
    rounds = to_confirm(definition, accuracies, confirmed)
    needed = sum(seeds for _, seeds in confirming(definition)[: len(rounds)])
    candidates = rounds[-1] if rounds else list(accuracies)
    if not candidates:
        return None
    best = _best_first(candidates, accuracies, confirmed, needed)[0]
    return best, _mean(best, accuracies, confirmed, needed)


def _best_first(
    numbers: Sequence[int], accuracies: Mapping[int, float], confirmed: Mapping[int, Sequence[float]], needed: int
) -> list[int]:
    return sorted(numbers, key=lambda number: (-_mean(number, accuracies, confirmed, needed), number))


def _mean(
    number: int, accuracies: Mapping[int, float], confirmed: Mapping[int, Sequence[float]], needed: int
) -> float:
    return mean([accuracies[number], *list(confirmed.get(number, ()))[:needed]])
