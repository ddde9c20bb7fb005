"""One optimizer's study: trials asked in rounds within a budget of epochs, and told. The only owner of Optuna's."""

import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import qmc

from harness.records import Outcome
from studies.definition import SweepDefinition

optuna.logging.set_verbosity(optuna.logging.WARNING)
STARTUP_TRIALS = 3  # before TPE's model; Optuna's ten would leave a small budget all random


@dataclass(frozen=True)
class Trial:
    """A trial of a study. `limit`: the epochs that the budget has for it; `round`: those asked together.

    `outcome` is None while it is under way; after it, `epochs` were spent and `accuracies` are those by epoch.
    """

    number: int
    values: dict[str, Any]
    round: int
    limit: int
    outcome: Outcome | None
    epochs: int
    accuracies: tuple[float, ...]


def open_storage(path: Path) -> BaseStorage:
    """The sweep's Optuna journal, less a last line that a crash left unfinished. Nothing else may write to it."""
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)
    return JournalStorage(JournalFileBackend(str(path)))


class Search:
    """The search of one optimizer's hyperparameters by validation accuracy.

    The first trial is the space's published starting point, where its dimensions name one.
    """

    def __init__(self, storage: BaseStorage, name: str, definition: SweepDefinition) -> None:
        self.name = name
        self._definition = definition
        self._space = definition.searched(name)
        self._ended: dict[int, Trial] = {}
        self._study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not _is_whole(trial):
                self._study.tell(trial.number, state=TrialState.FAIL)

    def ask(self) -> list[Trial]:
        """The trials of the round under way, or of a new one; none where the budget is spent.

        The same round holds the same trials after the same past, whatever stopped the process that asked it.
        """
        trials = self.trials
        running = [trial for trial in trials if trial.outcome is None]
        if running and self._definition.asynchronous:  # each in a round of its own
            return running
        last = max((trial.round for trial in trials), default=-1)
        current = [trial for trial in trials if trial.round == last]
        if not any(trial.outcome is None for trial in current):
            current, last = [], last + 1
        left = self._definition.budget - sum(trial.epochs for trial in trials if trial.round < last)
        whole = self._definition.trial_epochs
        size = min(self._definition.at_once, left // whole) or min(1, left)
        for _ in range(size - len(current)):
            current.append(self._ask(last, min(whole, left)))
        return [trial for trial in current if trial.outcome is None]

    def ask_another(self) -> Trial | None:
        """One more trial beside those under way, while the budget has room for all of them to the end."""
        trials = self.trials
        running = [trial for trial in trials if trial.outcome is None]
        left = self._definition.budget - sum(
            trial.limit if trial.outcome is None else trial.epochs for trial in trials
        )
        whole = self._definition.trial_epochs
        if left < whole and (running or left == 0):
            return None
        return self._ask(max((trial.round for trial in trials), default=-1) + 1, min(whole, left))

    def tell(self, number: int, outcome: Outcome, accuracies: Sequence[float], epochs: int) -> None:
        """How a trial ended, its validation accuracy (fraction) after each epoch, and the epochs that it spent.

        Of one that diverged or failed the sampler is told no accuracy, which ranks it last.
        """
        frozen = next(trial for trial in self._whole_trials() if trial.user_attrs["number"] == number)
        trial = optuna.Trial(self._study, frozen._trial_id)
        if outcome in (Outcome.COMPLETED, Outcome.PRUNED):
            for epoch, accuracy in enumerate(accuracies, 1):
                if epoch not in frozen.intermediate_values:
                    trial.report(accuracy, epoch)
        trial.set_user_attr("outcome", outcome)
        trial.set_user_attr("epochs", epochs)
        trial.set_user_attr("accuracies", list(accuracies))
        if outcome is Outcome.COMPLETED:
            self._study.tell(frozen.number, accuracies[-1])
        else:
            self._study.tell(frozen.number, state=TrialState.PRUNED)

    @property
    def trials(self) -> list[Trial]:
        """All trials in the order in which they were asked."""
        return [self._ended.get(trial.number) or self._trial(trial) for trial in self._whole_trials()]

    @property
    def spent(self) -> int:
        """The epochs of the trials that have ended."""
        return sum(trial.epochs for trial in self.trials)

    @property
    def best(self) -> tuple[dict[str, Any], float] | None:
        """The best values and their validation accuracy; None where no trial came to its end."""
        completed = [trial for trial in self.trials if trial.outcome is Outcome.COMPLETED]
        if not completed:
            return None
        best = max(completed, key=lambda trial: (trial.accuracies[-1], -trial.number))
        return best.values, best.accuracies[-1]

    def _ask(self, of_round: int, limit: int) -> Trial:
        number = len(self._whole_trials())
        if not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.enqueue_trial(self._chosen(number))
        self._study.sampler = self._sampler(number)
        distributions = {each.parameter(key): each.distribution() for key, each in self._space.items()}
        asked = self._study.ask(distributions)
        for name, value in (("round", of_round), ("limit", limit), ("number", number)):
            asked.set_user_attr(name, value)
        return self._trial(self._study.get_trials(deepcopy=False)[asked.number])

    def _chosen(self, number: int) -> dict[str, Any]:
        """What is not left to Optuna's sampler: the starting point, the points of a grid and of Sobol's sequence."""
        if self._definition.sampler == "grid":
            grids = [[(each.parameter(key), value) for value in each.grid()] for key, each in self._space.items()]
            return dict(next(itertools.islice(itertools.product(*grids), number, None)))
        if number == 0:
            starts = {each.parameter(key): each.start_drawn() for key, each in self._space.items()}
            return {parameter: start for parameter, start in starts.items() if start is not None}
        if self._definition.sampler == "sobol" and self._space:
            sequence = qmc.Sobol(len(self._space), rng=self._seed(None))
            point = sequence.fast_forward(number).random(1)[0] if number else sequence.random(1)[0]
            return {
                each.parameter(key): each.at(float(position))
                for (key, each), position in zip(self._space.items(), point, strict=True)
            }
        return {}

    def _sampler(self, number: int) -> BaseSampler:
        # a sampler restarted with one seed repeats its first draws, so each ask has its own
        if self._definition.sampler == "tpe":
            return TPESampler(n_startup_trials=STARTUP_TRIALS, seed=self._seed(number))
        return RandomSampler(seed=self._seed(number))

    def _seed(self, number: int | None) -> int:
        text = f"{self._definition.seed} {self.name} {number}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    def _whole_trials(self) -> list[FrozenTrial]:
        return [trial for trial in self._study.get_trials(deepcopy=False) if _is_whole(trial)]

    def _trial(self, trial: FrozenTrial) -> Trial:
        """Ours of Optuna's."""
        attributes = trial.user_attrs
        outcome = Outcome(attributes["outcome"]) if trial.state.is_finished() else None
        everything = self._definition.spaces.get(self.name, {}) | self._definition.space
        read = Trial(
            number=attributes["number"],
            values={
                key: each.value(trial.params[each.parameter(key)])
                for key, each in everything.items()
                if each.parameter(key) in trial.params
            },
            round=attributes["round"],
            limit=attributes["limit"],
            outcome=outcome,
            epochs=attributes["epochs"] if outcome else 0,
            accuracies=tuple(attributes["accuracies"]) if outcome else (),
        )
        if outcome:  # it will not change any more, and long studies are read at every slice
            self._ended[trial.number] = read
        return read


def _is_whole(trial: FrozenTrial) -> bool:
    """Whether it was asked to the end; a crash in the middle of an ask leaves one that counts for nothing."""
    return "number" in trial.user_attrs
