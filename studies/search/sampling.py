"""Draw a study's next trial with its sampler, which sees the best and the latest trials."""

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

LATEST = 250  # the sampler sees at least this many of the latest trials, enough for TPE's model of good trials
STEP = 50  # it sees up to this many more; the window moves in steps, since each move shows all trials again
BEST = 25  # of the trials before the window; TPE's model of good trials never holds more


def first_seen(number: int) -> int:
    """Return the number of the oldest recent trial that the sampler sees in a round that begins with `number`."""
    return max(0, number - LATEST) // STEP * STEP


def best_trials(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the best `BEST` trials in TPE's own order and all that have not ended, sorted by number."""
    kept = heapq.nsmallest(BEST, (trial for trial in trials if trial.state.is_finished()), key=_rank)
    kept += [trial for trial in trials if not trial.state.is_finished()]
    return sorted(kept, key=lambda trial: trial.number)


def _rank(trial: FrozenTrial) -> tuple[float, ...]:
    """Return a sort key: completed trials by accuracy, then pruned ones by how far they got, then the rest."""
    if trial.state is TrialState.COMPLETE:
        assert trial.value is not None, "a completed trial has a value"
        return 0, 0, -trial.value
    if not trial.intermediate_values:
        return 2, 0, 0
    milestone, accuracy = max(trial.intermediate_values.items())
    return 1, -milestone, -accuracy


def record_end(storage: BaseStorage, identity: int, outcome: Outcome, accuracies: Sequence[float]) -> None:
    """Record the end of the Optuna trial with that id; the accuracies are stored at steps that count milestones.

    A trial that diverged or failed is stored without accuracies, so it ranks last.
    """
    measured = accuracies if outcome in (Outcome.COMPLETED, Outcome.PRUNED) else ()
    for milestone, accuracy in enumerate(measured, 1):
        storage.set_trial_intermediate_value(identity, milestone, accuracy)
    state = TrialState.COMPLETE if outcome is Outcome.COMPLETED else TrialState.PRUNED
    storage.set_trial_state_values(identity, state, [measured[-1]] if measured else None)


class Sampling:
    """Draws a study's trials with an Optuna study in memory, from the trials shown to it and those drawn since.

    The first trial is the published start, as far as the space's dimensions declare one.
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
        """Draw the study's trial with that number."""
        chosen = self._chosen(number)
        if chosen:
            self._study.enqueue_trial(chosen)
        self._study.sampler = self._sampler(number)
        trial = self._study.ask({each.parameter(key): distribution_of(each) for key, each in self._space.items()})
        self._identities[number] = trial._trial_id
        return trial

    def tell(self, number: int, outcome: Outcome, accuracies: Sequence[float]) -> None:
        """Record how the trial with that number ended."""
        record_end(self._storage, self._identities[number], outcome, accuracies)

    def _chosen(self, number: int) -> dict[str, Any]:
        """Return the values of the trial that are not left to Optuna's sampler."""
        ended = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.is_finished()]
        best = min(ended, key=_rank).params if ended else {}
        return SAMPLERS[self._definition.sampler].planned(self._space, number, self._seed(None), best)

    def _sampler(self, number: int) -> BaseSampler:
        # a sampler that restarts with the same seed repeats its first draws, so each ask has its own seed
        return SAMPLERS[self._definition.sampler].optuna(self._common, self._seed(number))

    def _seed(self, number: int | None) -> int:
        text = f"{self._definition.seed} {self._name} {number}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
