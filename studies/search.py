"""One optimizer's study: ask, tell, best. The only module that owns an Optuna study."""

import hashlib
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from studies.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)
STARTUP_TRIALS = 4  # random ones before TPE's model; Optuna's ten would leave a small budget all random


def open_storage(path: Path) -> BaseStorage:
    """The sweep's Optuna journal."""
    return JournalStorage(JournalFileBackend(str(path)))


class Search:
    """The search of one optimizer's hyperparameters, by validation accuracy."""

    def __init__(self, storage: BaseStorage, optimizer: str, space: Space, seed: int) -> None:
        self.optimizer = optimizer
        self._seed = seed
        self._distributions = {key: dimension.distribution() for key, dimension in space.items()}
        self._study = optuna.create_study(
            storage=storage, study_name=optimizer, direction="maximize", load_if_exists=True
        )

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The next trial's number and values. The same number gets the same values after the same past."""
        number = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP_TRIALS, seed=_seed_for(self._seed, self.optimizer, number)
        )
        trial = self._study.ask(self._distributions)
        return trial.number, trial.params

    def tell(self, number: int, accuracy: float | None) -> None:
        """A trial's validation accuracy; None where it diverged, which ranks last."""
        if accuracy is None:
            self._study.tell(number, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(number, accuracy)

    @property
    def best(self) -> tuple[dict[str, Any], float] | None:
        """The best values and their validation accuracy; None where no trial came to its end."""
        done = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        return (self._study.best_params, self._study.best_value) if done else None


def _seed_for(*parts: object) -> int:
    """A sampler restarted with one seed repeats its first draws, so each ask has its own."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")
