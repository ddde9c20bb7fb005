"""What a study tries next: drawn by its sampler from the best and the latest of its trials."""

import hashlib
import heapq
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from harness.records import Outcome
from studies.definition import SweepDefinition
from studies.search.distributions import distribution_of
from studies.search.samplers import SAMPLERS

LATEST = 250  # at least so many of the latest trials are seen: enough for TPE to tell as many good ones as ever
STEP = 50  # more of them at most: to show a sampler others, it is shown all of them anew
BEST = 25  # of those before, as many as TPE's model of the good ones ever holds


def first_seen(number: int) -> int:
    """The first of the latest trials that a round sees which begins with that trial."""
    return max(0, number - LATEST) // STEP * STEP


def best_trials(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The `BEST` trials by TPE's own order, and those that have not ended, as they were asked."""
    kept = heapq.nsmallest(BEST, (trial for trial in trials if trial.state.is_finished()), key=_rank)
    kept += [trial for trial in trials if not trial.state.is_finished()]
    return sorted(kept, key=lambda trial: trial.number)


def _rank(trial: FrozenTrial) -> tuple[float, ...]:
    """Completed ones by accuracy, then those pruned at a later milestone, then those without any accuracy."""
    if trial.state is TrialState.COMPLETE:
        assert trial.value is not None, "a completed trial has one"
        return 0, 0, -trial.value
    if not trial.intermediate_values:
        return 2, 0, 0
    milestone, accuracy = max(trial.intermediate_values.items())
    return 1, -milestone, -accuracy


def record_end(storage: BaseStorage, identity: int, outcome: Outcome, accuracies: Sequence[float]) -> None:
    """End Optuna's trial of that id, its accuracies at steps that count its milestones.

    One that diverged or failed is given no accuracy, which ranks it last.
    """
    measured = accuracies if outcome in (Outcome.COMPLETED, Outcome.PRUNED) else ()
    for milestone, accuracy in enumerate(measured, 1):
        storage.set_trial_intermediate_value(identity, milestone, accuracy)
    state = TrialState.COMPLETE if outcome is Outcome.COMPLETED else TrialState.PRUNED
    storage.set_trial_state_values(identity, state, [measured[-1]] if measured else None)


class Sampling:
    """Draws one study's trials from those that it was shown or has drawn since: an Optuna study in memory.

    The first trial is the space's published starting point, where its dimensions name one.
    """

    def __init__(self, name: str, definition: SweepDefinition, shown: Sequence[FrozenTrial]) -> None:
        self._name = name
        self._definition = definition
        self._space = definition.searched(name)
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(storage=self._storage, direction="maximize")
        self._common = IntersectionSearchSpace(include_pruned=True)
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        self._identities = {trial.number: self._storage.create_new_trial(study_id, trial) for trial in shown}

    def ask(self, number: int) -> optuna.Trial:
        """The study's trial of that number."""
        chosen = self._chosen(number)
        if chosen:
            self._study.enqueue_trial(chosen)
        self._study.sampler = self._sampler(number)
        trial = self._study.ask({each.parameter(key): distribution_of(each) for key, each in self._space.items()})
        self._identities[number] = trial._trial_id
        return trial

    def tell(self, number: int, outcome: Outcome, accuracies: Sequence[float]) -> None:
        """How that trial ended."""
        record_end(self._storage, self._identities[number], outcome, accuracies)

    def _chosen(self, number: int) -> dict[str, Any]:
        """What is not left to Optuna's sampler."""
        ended = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.is_finished()]
        best = min(ended, key=_rank).params if ended else {}
        return SAMPLERS[self._definition.sampler].planned(self._space, number, self._seed(None), best)

    def _sampler(self, number: int) -> BaseSampler:
        # a sampler restarted with one seed repeats its first draws, so each ask has its own
        return SAMPLERS[self._definition.sampler].optuna(self._common, self._seed(number))

    def _seed(self, number: int | None) -> int:
        text = f"{self._definition.seed} {self._name} {number}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
