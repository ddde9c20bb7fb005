"""Hold an open sweep: the jobs of its trials and finals, new or matched with the recorded runs."""

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from harness.colours import colours
from harness.config import OwnModelConfig, RunConfig, config_hash, parse_config, with_settings
from harness.errors import SweepStopped, WorkFailedError
from harness.open_run import broken_outcome, close_broken_run, close_run, open_run, run_name
from harness.provenance.origin import Origin, load_cached_splits
from harness.records import METRIC_NAMES, Outcome, Stage, Tag
from harness.tracking.buffered import Outbox
from harness.tracking.tracker import FoundRun
from harness.training.checkpoint import discard, is_kept
from harness.training.images import Splits
from harness.training.inputs import Inputs, with_inputs
from harness.training.loop import EvaluationSplit
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool
from studies.jobs import Job, Observer, Queue, run_jobs
from studies.replicates import confirming_seeds, of_replicate, published_start, to_confirm, winner_of
from studies.search.storage import Storage
from studies.search.study import Search, Trial
from studies.snapshot import sweep_folder

Opening = Callable[[], Job | None]  # opens a run and returns its job; None if the run has ended
VALIDATION = METRIC_NAMES["validation_accuracy"]


@dataclass
class Sweep:
    """An open sweep: its definition, its records, its workers and its observers."""

    name: str
    definition: SweepDefinition
    sweep_id: str
    origin: Origin
    tracker: Outbox
    pool: WorkerPool
    observers: list[Observer]
    stop: Event
    storage: Storage
    recorded: dict[tuple[str, ...], FoundRun]
    inputs: Inputs  # the shape and classes of its data
    logits: frozenset[str] = frozenset()  # names of the own models whose output was found to be logits
    jobs: list[Job] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the studies of every replicate, as an earlier process left them."""
        with self.storage.together():
            self.replicates = [Replicate(self, number) for number in range(self.definition.replicates)]

    def run(self, queue: Queue) -> None:
        """Train the queue's jobs to their ends.

        Raises:
            SweepStopped: `stop` was set.
        """
        run_jobs(queue, self.pool, self.tracker, self.observers, self.stop)
        if self.stop.is_set():
            raise SweepStopped(self.sweep_id)

    def completed_finals(self, optimizer: str) -> list[FoundRun]:
        """Return the completed finals of the optimizer's winners, of all replicates."""
        return [final for each in self.replicates for final in each.completed_finals(optimizer)]

    def break_off(self, error: BaseException) -> None:
        """Close the jobs under way and the sweep, with outcomes that fit the error."""
        failed = error.run_id if isinstance(error, WorkFailedError) else None
        for job in self.jobs:
            if job.outcome is None:
                outcome = Outcome.FAILED if job.run.run_id == failed else Outcome.KILLED
                close_broken_run(self.tracker, job.run.run_id, outcome, error)
        close_broken_run(self.tracker, self.sweep_id, broken_outcome(error), error)

    def read_recorded(self) -> None:
        """Read the sweep's recorded runs again."""
        self.recorded = recorded_runs(self.name, self.sweep_id, self.tracker)


class Replicate:
    """One whole search of every optimizer with its finals. It opens their jobs. `number` counts from 0."""

    def __init__(self, sweep: Sweep, number: int) -> None:
        self.sweep = sweep
        self.number = number
        self.definition = of_replicate(sweep.definition, number)
        which = f", replicate {number + 1}" if number else ""
        of = {"experiment": sweep.name, "mlflow_run_id": sweep.sweep_id}
        self.searches = {
            name: Search(
                sweep.storage, name, self.definition, f"{name}{which} of {sweep.sweep_id}", of | {"optimizer": name}
            )
            for name in self.definition.optimizers
        }

    @property
    def data(self) -> Splits:
        """Return the dataset with this replicate's split, on the CPU even if slices train on another device."""
        return load_cached_splits(self.definition.base.dataset, "cpu", self.sweep.pool.data_dir)

    def winner(self, optimizer: str) -> tuple[Trial, float] | None:
        """Return the winning trial and its validation accuracy; None if no trial has completed.

        The accuracy (fraction) is the mean over all seeds of a confirmed trial.
        """
        trials, accuracies = self._completed_trials(optimizer)
        found = winner_of(self.definition, accuracies, self._confirmed(optimizer))
        return None if found is None else (trials[found[0]], found[1])

    def trial(self, optimizer: str, trial: Trial) -> Job:
        """Return the job of the trial: its recorded run, resumed, or a new one."""
        config = self._trial_config(optimizer, trial.values)
        return self._begin(self._job(Stage.TRIAL, optimizer, trial.number, config, trial.limit))

    def confirmations(self, which: int) -> list[Opening]:
        """Return functions that open the runs of a confirmation round (counted from 0), optimizers in turn."""
        seeds = confirming_seeds(self.definition)[which]
        found: list[Opening] = []
        for optimizer in self.searches:
            trials, accuracies = self._completed_trials(optimizer)
            rounds = to_confirm(self.definition, accuracies, self._confirmed(optimizer))
            numbers = rounds[which] if which < len(rounds) else []
            found += [
                functools.partial(self._confirmation, optimizer, trials[number], seed)
                for seed in seeds
                for number in numbers
            ]
        return found

    def final(self, optimizer: str, seed: int) -> Job | None:
        """Return the job of the final on that seed; None if it has ended, or the optimizer has no winner."""
        best = self.winner(optimizer)
        if best is None:
            return None
        config = self._final_config(optimizer, best[0].values, seed)
        return self._unless_ended(Stage.FINAL, optimizer, seed, config, {Tag.SUPERSEDED: "false"})

    def start_final(self, optimizer: str, seed: int) -> Job | None:
        """Return the job of the published start's final; None if it has ended, or the start is missing or has won."""
        best, start = self.winner(optimizer), published_start(self.definition, optimizer)
        if best is None or start is None:
            return None
        config = self._final_config(optimizer, start, seed)
        if config == self._final_config(optimizer, best[0].values, seed):
            return None
        return self._unless_ended(Stage.START, optimizer, seed, config)

    def winners_finals(self, optimizer: str) -> Iterator[FoundRun]:
        """Yield the recorded finals of the optimizer's winner, in seed order."""
        best = self.winner(optimizer)
        if best is None:
            return
        for seed in self.definition.final_seeds:
            config = self._final_config(optimizer, best[0].values, seed)
            final = self.sweep.recorded.get(_key(Stage.FINAL, optimizer, seed, config))
            if final is not None:
                yield final

    def seeds_of_finals(self, optimizer: str) -> set[int]:
        """Return the seeds on which the optimizer's winner was trained; a look may have left out some."""
        return {int(final.tags[Tag.NUMBER]) for final in self.winners_finals(optimizer)}

    def completed_finals(self, optimizer: str) -> list[FoundRun]:
        """Return the completed finals of the optimizer's winner, in seed order."""
        finals = self.winners_finals(optimizer)
        return [final for final in finals if final.tags.get(Tag.OUTCOME) == Outcome.COMPLETED]

    def record_what_ended(self) -> None:
        """Finish the records of trials that ended before the store had everything; their checkpoints still exist."""
        recorded_runs, tracker = self.sweep.recorded, self.sweep.tracker
        for optimizer, search in self.searches.items():
            for trial in search.trials:
                config = self._trial_config(optimizer, trial.values)
                key = _key(Stage.TRIAL, optimizer, trial.number, config)
                recorded = key in recorded_runs and recorded_runs[key].tags.get(Tag.OUTCOME) == trial.outcome
                if trial.outcome is None or (recorded and not is_kept(self._folder(key))):
                    continue
                job = self._job(Stage.TRIAL, optimizer, trial.number, config, trial.limit)
                if trial.outcome is Outcome.FAILED:
                    tracker.end_run(job.run.run_id, Outcome.FAILED)
                else:
                    close_run(tracker, job.run)
                tracker.set_tags(job.run.run_id, {Tag.SPENT: str(trial.images)})
                tracker.when_delivered(functools.partial(discard, job.run.folder))

    def _completed_trials(self, optimizer: str) -> tuple[dict[int, Trial], dict[int, float]]:
        """Return the completed trials and their validation accuracies (fractions), both by trial number."""
        completed = (each for each in self.searches[optimizer].trials if each.outcome is Outcome.COMPLETED)
        trials = {each.number: each for each in completed}
        return trials, {number: trial.accuracies[-1] for number, trial in trials.items()}

    def _confirmed(self, optimizer: str) -> dict[int, list[float]]:
        """Return, by trial number, the validation accuracies of its confirmations in the order of their seeds."""
        trials, accuracies = self._completed_trials(optimizer)
        rounds = to_confirm(self.definition, accuracies, {})
        found: dict[int, list[float]] = {number: [] for of_round in rounds for number in of_round}
        for number, confirmed in found.items():
            for seed in itertools.chain.from_iterable(confirming_seeds(self.definition)):
                config = self._confirming_config(optimizer, trials[number], seed)
                run = self.sweep.recorded.get(_key(Stage.CONFIRMATION, optimizer, number, config))
                if run is None or not _has_ended(run):
                    break
                confirmed.append(run.metrics[VALIDATION] if run.tags[Tag.OUTCOME] == Outcome.COMPLETED else 0.0)
        return found

    def _confirmation(self, optimizer: str, trial: Trial, seed: int) -> Job | None:
        config = self._confirming_config(optimizer, trial, seed)
        return self._unless_ended(Stage.CONFIRMATION, optimizer, trial.number, config)

    def _unless_ended(
        self, stage: Stage, optimizer: str, number: int, config: RunConfig, tags: Mapping[str, str] | None = None
    ) -> Job | None:
        found = self.sweep.recorded.get(_key(stage, optimizer, number, config))
        if found is not None and _has_ended(found):
            return None
        return self._begin(self._job(stage, optimizer, number, config, config.epochs, tags))

    def _trial_config(self, optimizer: str, values: Mapping[str, Any]) -> RunConfig:
        config = with_outputs(self.definition.trial_config(optimizer, values), self.sweep.logits)
        return with_inputs(config, self.sweep.inputs)

    def _confirming_config(self, optimizer: str, trial: Trial, seed: int) -> RunConfig:
        return with_settings(self._trial_config(optimizer, trial.values), {"seed": seed})

    def _final_config(self, optimizer: str, values: Mapping[str, Any], seed: int) -> RunConfig:
        """Return the winner's config as a final, validated: a warm-up longer than a final's training is an error."""
        return parse_config(self.definition.final_config(self._trial_config(optimizer, values), seed).model_dump())

    def _folder(self, key: tuple[str, ...]) -> Path:
        """Return the folder of a run's checkpoints; its name is known before the store gives the run an id."""
        name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
        return sweep_folder(self.sweep.sweep_id) / "runs" / name

    def _begin(self, job: Job) -> Job:
        self.sweep.jobs = [each for each in self.sweep.jobs if each.outcome is None] + [job]
        for observer in self.sweep.observers:
            observer.started(job)
        return job

    def _job(
        self,
        stage: Stage,
        optimizer: str,
        number: int,
        config: RunConfig,
        limit: float,
        more_tags: Mapping[str, str] | None = None,
    ) -> Job:
        """Return the job of that stage and number: its recorded run, resumed, or a new run."""
        sweep = self.sweep
        key = _key(stage, optimizer, number, config)
        found = sweep.recorded.get(key)
        tags = {
            Tag.STAGE: stage,
            Tag.SWEEP_ID: sweep.sweep_id,
            Tag.PARENT: sweep.sweep_id,
            Tag.OPTIMIZER: optimizer,
            Tag.NUMBER: str(number),
            Tag.REPLICATE: str(self.number + 1),
            Tag.COLOUR: colours(self.definition.optimizers)[optimizer],
            Tag.SUBSET: str(self.definition.subset).lower(),
            **(more_tags or {}),
        }
        label = run_name(config, optimizer, _which(stage, number, config.seed))
        splits: tuple[EvaluationSplit, ...] = ("validation",) if stage.is_tuning else ("validation", "test")
        run_id = found.run_id if found else None
        of_data = self.data, sweep.origin
        run = open_run(config, sweep.tracker, sweep.name, label, tags, splits, *of_data, run_id, self._folder(key))
        if stage is Stage.TRIAL:
            return Job(stage, optimizer, number, run, limit, self.definition.milestones, self.definition.pruned_at)
        return Job(stage, optimizer, number, run, limit)


def _which(stage: Stage, number: int, seed: int) -> str:
    """Name a run among the optimizer's runs, briefly; `s3` means seed 3."""
    words = {
        Stage.TRIAL: f"trial {number}",
        Stage.CONFIRMATION: f"trial {number} again s{seed}",
        Stage.FINAL: f"final s{number}",
        Stage.START: f"start s{number}",
    }
    return words[stage]


def with_outputs(config: RunConfig, logits: frozenset[str]) -> RunConfig:
    """Return the config; if its model is one of the own models in `logits`, with `model.outputs` set to logits."""
    is_one = isinstance(config.model, OwnModelConfig) and config.model.name in logits
    return with_settings(config, {"model.outputs": "logits"}) if is_one else config


def _key(stage: Stage, optimizer: str, number: int, config: RunConfig) -> tuple[str, ...]:
    """Return the key of a run in `Sweep.recorded`."""
    return stage, optimizer, str(number), config_hash(config)


def _has_ended(final: FoundRun) -> bool:
    """Return whether the run needs no more work; a run that failed together with its sweep is resumed."""
    outcome = final.tags.get(Tag.OUTCOME)
    given_up = outcome == Outcome.FAILED and Tag.GIVEN_UP in final.tags
    return given_up or outcome in (Outcome.COMPLETED, Outcome.DIVERGED)


def recorded_runs(name: str, sweep_id: str, tracker: Outbox) -> dict[tuple[str, ...], FoundRun]:
    """Return the recorded trials and finals of the sweep by stage, optimizer, number and config hash."""
    return {
        tuple(run.tags.get(tag, "") for tag in (Tag.STAGE, Tag.OPTIMIZER, Tag.NUMBER, Tag.CONFIG_HASH)): run
        for run in tracker.find_runs(name, {Tag.SWEEP_ID: sweep_id})
    }
