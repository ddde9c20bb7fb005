"""Run one optimizer's study: ask for trials in rounds within a budget, and record results with Optuna."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from harness.records import METRIC_NAMES, Outcome
from studies.definition import SweepDefinition
from studies.replicates import search_budget
from studies.search.sampling import Sampling, best_trials, first_seen, record_end
from studies.search.storage import Storage


@dataclass(frozen=True)
class Trial:
    """A trial of a study. `limit` is the epochs that the budget has for it; `round` counts trials asked together.

    `outcome` is None while the trial is under way. After its end, `images` is what it spent and `accuracies` are its
    validation accuracies (fractions) at the definition's milestones.
    """

    number: int
    values: dict[str, Any]
    round: int
    limit: float
    outcome: Outcome | None = None
    images: int = 0
    accuracies: tuple[float, ...] = ()


class Search:
    """The search of one optimizer's hyperparameters by validation accuracy.

    It reads the storage once, when it is opened, and answers from memory. `study` is the study's name in Optuna,
    which must be unique in a database that holds other sweeps; `attributes` are stored with the study.
    """

    def __init__(
        self,
        storage: Storage,
        name: str,
        definition: SweepDefinition,
        study: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._definition = definition
        self._space = definition.spaces.get(name, {}) | definition.space
        self._storage = storage
        self._study = optuna.create_study(
            storage=storage, study_name=study or name, direction="maximize", load_if_exists=True
        )
        self._study_id = storage.get_study_id_from_name(study or name)
        self._describe(attributes or {})
        self._trials: list[Trial] = []
        self._running: dict[int, Trial] = {}
        self._spent = 0
        self._best: Trial | None = None
        self._identities: list[int] = []
        self._shown_from: int | None = None
        recorded = storage.get_all_trials(self._study_id, deepcopy=False)
        for frozen in recorded:
            self._identities.append(frozen._trial_id)
            self._add(self._read(frozen))
        self._show_from(first_seen(self._last_round()[0].number if recorded else 0))

    def ask(self) -> list[Trial]:
        """Return the unfinished trials of the current round, or of a new round; empty once the budget is spent.

        After the same history a round has the same trials, even if the process that asked for it was stopped.
        """
        if self._running and self._definition.asynchronous:  # each trial is a round of its own
            return list(self._running.values())
        current = self._last_round() if self._running else []
        left = self._left + sum(trial.images for trial in current)
        limit = self._longest(left)
        size = self._fitting(left) or (limit > 0)
        with self._storage.together():
            of_round = current[0].round if current else self._next_round()
            current += [self._ask(of_round, limit) for _ in range(size - len(current))]
        return [trial for trial in current if trial.outcome is None]

    def ask_another(self) -> Trial | None:
        """Ask for one more trial beside those under way; None if the budget can't pay all of them to the end."""
        begun = sum(self._definition.images(self.name, trial.limit) for trial in self._running.values())
        left = self._left - begun
        limit = self._longest(left)
        if left < self._whole and (self._running or limit == 0):
            return None
        with self._storage.together():
            return self._ask(self._next_round(), limit)

    def tell(
        self, number: int, outcome: Outcome, accuracies: Sequence[float], images: int, run_id: str | None = None
    ) -> None:
        """Record how a trial ended: its validation accuracy (fraction) at each milestone, and the images it spent.

        `run_id` is the id of its run in MLflow, stored under the name that Optuna's own MLflow callback uses.
        """
        identity = self._identities[number]
        attributes = {"outcome": outcome, "images": images, "accuracies": list(accuracies)}
        attributes |= {} if run_id is None else {"mlflow_run_id": run_id}
        with self._storage.together():
            for name, value in attributes.items():
                self._storage.set_trial_user_attr(identity, name, value)
            record_end(self._storage, identity, outcome, accuracies)
        self._sampling.tell(number, outcome, accuracies)
        running = self._running.pop(number)
        self._trials[number] = replace(running, outcome=outcome, images=images, accuracies=tuple(accuracies))
        self._count(self._trials[number])

    @property
    def trials(self) -> list[Trial]:
        """Return all trials in the order in which they were asked."""
        return list(self._trials)

    @property
    def spent(self) -> int:
        """Return the images that ended trials have spent."""
        return self._spent

    @property
    def epochs_spent(self) -> float:
        """Return the epochs that ended trials have spent, with fractions."""
        return self._spent / self._epoch

    @property
    def _whole(self) -> int:
        """Return the images of a whole trial."""
        return self._definition.images(self.name, self._definition.trial_epochs)

    @property
    def _left(self) -> int:
        """Return the images of the search's budget that ended trials have not spent."""
        return self._definition.images(self.name, search_budget(self._definition)) - self._spent

    def _longest(self, left: int) -> float:
        """Return the last milestone, in epochs, that a trial can reach with `left` images; 0 if none."""
        milestones = self._definition.milestones
        return max((each for each in milestones if self._definition.images(self.name, each) <= left), default=0)

    def _fitting(self, left: int) -> int:
        """Return how many trials `left` images pay for in one round, whichever of them continue."""
        definition = self._definition
        size = min(definition.at_once, left // self._whole)
        if any(trial.outcome is not None for trial in self._trials) or definition.asynchronous:
            return size  # all trials of the round may be better than the earlier ones and continue
        halved = (size for size in range(definition.at_once, 0, -1) if definition.halved(size) * self._epoch <= left)
        return max(size, next(halved, 0))

    @property
    def _epoch(self) -> int:
        """Return the images of an epoch."""
        return self._definition.images(self.name, 1)

    @property
    def best(self) -> tuple[dict[str, Any], float] | None:
        """Return the best trial's values and validation accuracy; None if no trial has completed."""
        return (self._best.values, self._best.accuracies[-1]) if self._best else None

    def importances(self) -> dict[str, float]:
        """Return the importance of each searched config key, as a share of 1; empty with too few trials."""
        # a late import: Optuna's evaluators load scikit-learn, 90 MiB that only the end of a sweep needs
        from studies.search.importance import importances

        with self._storage.together():
            return importances(self._study, self._space)

    def _describe(self, attributes: Mapping[str, str]) -> None:
        """Store the study's attributes and metric name once. The name is set last: if it is there, all are stored."""
        if self._study.metric_names is not None:
            return
        for key, value in attributes.items():
            self._study.set_user_attr(key, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._study.set_metric_names([METRIC_NAMES["validation_accuracy"]])

    def _ask(self, of_round: int, limit: float) -> Trial:
        number = len(self._trials)
        asked = self._sampling.ask(number)
        record = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=asked.params,
            distributions=asked.distributions,
            user_attrs={"round": of_round, "limit": limit},
        )
        self._identities.append(self._storage.create_new_trial(self._study_id, record))
        trial = Trial(number, self._values(asked.params), of_round, limit)
        self._add(trial)
        return trial

    def _next_round(self) -> int:
        """Return the next round's number, and update which trials the sampler sees, which changes only here."""
        self._show_from(first_seen(len(self._trials)))
        return self._trials[-1].round + 1 if self._trials else 0

    def _last_round(self) -> list[Trial]:
        trials = self._trials
        first = len(trials) - 1
        while first > 0 and trials[first - 1].round == trials[-1].round:
            first -= 1
        return trials[first:]

    def _show_from(self, first: int) -> None:
        """Let the sampler see the trials from number `first` on, and the best of the earlier ones."""
        if self._shown_from == first:
            return
        recorded = self._storage.get_all_trials(self._study_id, deepcopy=False)
        self._sampling = Sampling(self.name, self._definition, [*best_trials(recorded[:first]), *recorded[first:]])
        self._shown_from = first

    def _add(self, trial: Trial) -> None:
        """Append the next trial of the study."""
        self._trials.append(trial)
        if trial.outcome is None:
            self._running[trial.number] = trial
        else:
            self._count(trial)

    def _count(self, trial: Trial) -> None:
        """Count the images of a trial that has ended, and compare it with the best one."""
        self._spent += trial.images
        if trial.outcome is Outcome.COMPLETED and (self._best is None or _merit(trial) > _merit(self._best)):
            self._best = trial

    def _read(self, frozen: FrozenTrial) -> Trial:
        """Return a trial as Optuna recorded it."""
        attributes = frozen.user_attrs
        asked = Trial(frozen.number, self._values(frozen.params), attributes["round"], attributes["limit"])
        if not frozen.state.is_finished():
            return asked
        # a study older than pruning within epochs counts whole epochs
        images = attributes.get("images", self._definition.images(self.name, attributes.get("epochs", 0)))
        return replace(
            asked,
            outcome=Outcome(attributes["outcome"]),
            images=images,
            accuracies=tuple(attributes["accuracies"]),
        )

    def _values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config's values, by dotted key, for drawn values."""
        return {
            key: each.value(drawn[each.parameter(key)])
            for key, each in self._space.items()
            if each.parameter(key) in drawn
        }


def _merit(trial: Trial) -> tuple[float, int]:
    return trial.accuracies[-1], -trial.number
