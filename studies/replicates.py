"""Define what each replicate of a sweep does: seeds, split, published start, and how winners are confirmed."""

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from statistics import mean
from typing import Any

from harness.config import SEEDS, DatasetConfig, with_settings
from studies.definition import SweepDefinition
from studies.requirements import SEEDS_APART

CONFIRM_FROM, CONFIRM_MORE_FROM = 8, 20  # in whole trials of budget; below 8, confirming costs more than it gains
CONFIRMING_SEED = 901  # the first seed on which winners are confirmed
FINEST = 10**9  # the largest denominator of an accuracy when trials are ranked; it keeps every count of images exact


def of_replicate(definition: SweepDefinition, number: int) -> SweepDefinition:
    """Return the definition of one replicate, counted from 0: the same sweep with other seeds and another split.

    A user's own dataset keeps its split, since the split also decides its test set.
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
    """Return the published start of that optimizer's study; None if one of its dimensions has no start."""
    searched = definition.searched(name)
    drawn: dict[str, Any] = {key: each.start_drawn() for key, each in searched.items()}
    if any(each is None for each in drawn.values()):
        return None
    return {key: searched[key].value(each) for key, each in drawn.items()}


def is_published_start(definition: SweepDefinition, name: str, settings: Mapping[str, Any]) -> bool:
    """Return whether an optimizer's settings, by dotted key, equal its published start in all searched dimensions."""
    start = published_start(definition, name) or {}
    return start != {} and all(key in settings and settings[key] == value for key, value in start.items())


def confirming(definition: SweepDefinition) -> tuple[tuple[int, int], ...]:
    """Return, for each round of confirmation, how many of the best trials train and on how many further seeds."""
    if not definition.confirm or definition.trials < CONFIRM_FROM:
        return ()
    return ((2, 1),) if definition.trials < CONFIRM_MORE_FROM else ((4, 1), (2, 2))


def search_budget(definition: SweepDefinition) -> int:
    """Return the epochs of an optimizer's budget that are for its search; the rest is for confirmations."""
    return definition.budget - definition.trial_epochs * sum(count * seeds for count, seeds in confirming(definition))


def confirming_seeds(definition: SweepDefinition) -> list[tuple[int, ...]]:
    """Return the seeds of each round of confirmation, all different from the search's seed and the finals' seeds."""
    seed = definition.base.seed
    first = CONFIRMING_SEED + seed - seed % SEEDS_APART
    counted = (each % SEEDS for each in itertools.count(first))
    fresh = (each for each in counted if each not in (seed, *definition.final_seeds))
    return [tuple(itertools.islice(fresh, seeds)) for _, seeds in confirming(definition)]


def to_confirm(
    definition: SweepDefinition, accuracies: Mapping[int, float], confirmed: Mapping[int, Sequence[float]]
) -> list[list[int]]:
    """Return the trial numbers of each round of confirmation whose members are known, best trial first.

    `accuracies` are the validation accuracies of the completed trials, by number. `confirmed` are their accuracies on
    further seeds, in seed order; 0 for a run that diverged. A round is known once all runs of the previous round have
    ended.
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
    """Return the winning trial's number and its mean validation accuracy over all its seeds; None without a trial.

    Of trials with equal accuracy the earlier one wins. Before all trials are confirmed, the accuracies so far decide.
    """
    rounds = to_confirm(definition, accuracies, confirmed)
    needed = sum(seeds for _, seeds in confirming(definition)[: len(rounds)])
    candidates = rounds[-1] if rounds else list(accuracies)
    if not candidates:
        return None
    best = _best_first(candidates, accuracies, confirmed, needed)[0]
    return best, mean(_of_seeds(best, accuracies, confirmed, needed))


def _best_first(
    numbers: Sequence[int], accuracies: Mapping[int, float], confirmed: Mapping[int, Sequence[float]], needed: int
) -> list[int]:
    """Rank the trials by their exact means over several seeds, since equal means may differ as floats."""

    def exact_mean(number: int) -> Fraction | float:
        of_seeds = _of_seeds(number, accuracies, confirmed, needed)
        return mean(Fraction(each).limit_denominator(FINEST) for each in of_seeds) if needed else accuracies[number]

    return sorted(numbers, key=lambda number: (-exact_mean(number), number))


def _of_seeds(
    number: int, accuracies: Mapping[int, float], confirmed: Mapping[int, Sequence[float]], needed: int
) -> list[float]:
    """Return the accuracies of a trial on the search's seed and on the first `needed` further seeds."""
    return [accuracies[number], *list(confirmed.get(number, ()))[:needed]]
