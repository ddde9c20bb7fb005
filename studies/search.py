"""One optimizer's study: ask, tell, best. The only module that owns an Optuna study."""

import hashlib
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from studies.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)
STARTUP_TRIALS = 3  # before TPE's model; Optuna's ten would leave a small budget all random


def open_storage(path: Path) -> BaseStorage:
    """The sweep's Optuna journal."""
    return JournalStorage(JournalFileBackend(str(path)))


class Search:
    """The search of one optimizer's hyperparameters by validation accuracy, one trial at a time.

    The first trial is the space's published starting point, where its dimensions name one.
    """

    def __init__(self, storage: BaseStorage, optimizer: str, space: Space, seed: int) -> None:
        self.optimizer = optimizer
        self._seed = seed
        self._distributions = {key: dimension.distribution() for key, dimension in space.items()}
        self._study = optuna.create_study(
            storage=storage, study_name=optimizer, direction="maximize", load_if_exists=True
        )
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not self._is_whole(trial):
                self._study.tell(trial.number, state=TrialState.FAIL)
        start = {key: dimension.start for key, dimension in space.items() if dimension.start is not None}
        if start and not any(
            self._is_whole(trial) or trial.state is TrialState.WAITING
            for trial in self._study.get_trials(deepcopy=False)
        ):
            self._study.enqueue_trial(start)

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The trial that was under way when an earlier process ended, else a new one: its number and values.

        The same number gets the same values after the same past.
        """
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            return trial.number, trial.params
        number = len(self._ended())
        # a sampler restarted with one seed repeats its first draws, so each ask has its own
        seed = int.from_bytes(hashlib.sha256(f"{self._seed} {self.optimizer} {number}".encode()).digest()[:4], "big")
        self._study.sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed)
        asked = self._study.ask(self._distributions)
        return asked.number, asked.params

    def tell(self, number: int, accuracy: float | None) -> None:
        """A trial's validation accuracy; None where it diverged, which ranks last."""
        if accuracy is None:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, accuracy)

    @property
    def ended(self) -> int:
        """How many trials have been told."""
        return len(self._ended())

    @property
    def best(self) -> tuple[dict[str, Any], float] | None:
        """The best values and their validation accuracy; None where no trial came to its end."""
        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return (self._study.best_params, self._study.best_value) if done else None

    def _ended(self) -> list[optuna.trial.FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state.is_finished() and self._is_whole(trial)]

    def _is_whole(self, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether all its values were drawn; a crash in the middle of an ask leaves a trial without some."""
        return trial.params.keys() == self._distributions.keys()
