"""A sweep that is open: the jobs of its trials and finals, each found again among what is recorded or begun."""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from harness.config import OwnModelConfig, RunConfig, config_hash, parse_config, with_settings
from harness.errors import WorkFailedError
from harness.open_run import broken_outcome, close_broken_run, close_run, open_run, run_name
from harness.provenance.origin import Origin
from harness.records import Outcome, Stage, Tag
from harness.tracking.buffered import Outbox
from harness.tracking.tracker import FoundRun
from harness.training.checkpoint import discard, is_kept
from harness.training.images import Splits
from harness.training.loop import EvaluationSplit
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool
from studies.jobs import Job, Observer, Queue, run_jobs
from studies.search.storage import Storage
from studies.search.study import Search, Trial
from studies.snapshot import sweep_folder


@dataclass
class Sweep:
    """A sweep that is open: what it does, where it is recorded, who works on it and who watches."""

    name: str
    definition: SweepDefinition
    sweep_id: str
    data: Splits
    origin: Origin
    tracker: Outbox
    pool: WorkerPool
    observers: list[Observer]
    stop: Event
    searches: dict[str, Search]
    recorded: dict[tuple[str, ...], FoundRun]
    logits: frozenset[str] = frozenset()  # the own models that were found to give them
    jobs: list[Job] = field(default_factory=list)

    def run(self, queue: Queue, at_a_time: int) -> None:
        """The queue's jobs to their ends."""
        run_jobs(queue, self.pool, at_a_time, self.tracker, self.observers, self.stop)

    def trial(self, optimizer: str, trial: Trial) -> Job:
        """The trial's job."""
        config = self._trial_config(optimizer, trial.values)
        return self._begin(self._job(Stage.TRIAL, optimizer, trial.number, config, trial.limit))

    def final(self, optimizer: str, seed: int, quiet: bool) -> Job | None:
        """The final's job; None where it has come to its end, or no trial has, so that there is no winner."""
        best = self.searches[optimizer].best
        if best is None:
            return None
        config = self._final_config(optimizer, best[0], seed)
        found = self.recorded.get(_key(Stage.FINAL, optimizer, seed, config))
        if found is not None and _has_ended(found):
            return None
        tags = {Tag.SUPERSEDED: "false"} | ({Tag.QUIET: "true"} if quiet else {})
        return self._begin(self._job(Stage.FINAL, optimizer, seed, config, config.epochs, tags))

    def winners_finals(self, optimizer: str) -> Iterator[FoundRun]:
        """The finals of the optimizer's winner, in seed order, as recorded."""
        best = self.searches[optimizer].best
        if best is None:
            return
        for seed in self.definition.final_seeds:
            config = self._final_config(optimizer, best[0], seed)
            final = self.recorded.get(_key(Stage.FINAL, optimizer, seed, config))
            if final is not None:
                yield final

    def completed_finals(self, optimizer: str) -> list[FoundRun]:
        """Return the finals of the optimizer's winner that came to their end."""
        finals = self.winners_finals(optimizer)
        return [final for final in finals if final.tags.get(Tag.OUTCOME) == Outcome.COMPLETED]

    def record_what_ended(self) -> None:
        """Track to its end each trial that ended before the store had all of it: its checkpoint is still there."""
        for optimizer, search in self.searches.items():
            for trial in search.trials:
                config = self._trial_config(optimizer, trial.values)
                key = _key(Stage.TRIAL, optimizer, trial.number, config)
                recorded = key in self.recorded and self.recorded[key].tags.get(Tag.OUTCOME) == trial.outcome
                if trial.outcome is None or (recorded and not is_kept(self._folder(key))):
                    continue
                job = self._job(Stage.TRIAL, optimizer, trial.number, config, trial.limit)
                if trial.outcome is Outcome.FAILED:
                    self.tracker.end_run(job.run.run_id, Outcome.FAILED)
                else:
                    close_run(self.tracker, job.run)
                self.tracker.set_tags(job.run.run_id, {Tag.SPENT: str(trial.images)})
                self.tracker.when_delivered(functools.partial(discard, job.run.folder))

    def break_off(self, error: BaseException) -> None:
        """Close what is under way, and the sweep."""
        failed = error.run_id if isinstance(error, WorkFailedError) else None
        for job in self.jobs:
            if job.outcome is None:
                outcome = Outcome.FAILED if job.run.run_id == failed else Outcome.KILLED
                close_broken_run(self.tracker, job.run.run_id, outcome, error)
        close_broken_run(self.tracker, self.sweep_id, broken_outcome(error), error)

    def _trial_config(self, optimizer: str, values: Mapping[str, Any]) -> RunConfig:
        return with_outputs(self.definition.trial_config(optimizer, values), self.logits)

    def _final_config(self, optimizer: str, values: Mapping[str, Any], seed: int) -> RunConfig:
        """The winner's, checked, since what trials may have finals may not: a warm-up of more epochs than theirs."""
        return parse_config(self.definition.final_config(self._trial_config(optimizer, values), seed).model_dump())

    def _folder(self, key: tuple[str, ...]) -> Path:
        """Where its checkpoints are, under a name that is known before the store has given the run an id."""
        return sweep_folder(self.sweep_id) / "runs" / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]

    def _begin(self, job: Job) -> Job:
        self.jobs = [each for each in self.jobs if each.outcome is None] + [job]
        for observer in self.observers:
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
        """The trial or final of that number: the recorded one, gone on with, or a new one."""
        key = _key(stage, optimizer, number, config)
        found = self.recorded.get(key)
        which = f"#{number}" if stage is Stage.TRIAL else f"seed {number}"
        label = run_name(config, optimizer, which)
        tags = {
            Tag.STAGE: stage,
            Tag.SWEEP_ID: self.sweep_id,
            Tag.PARENT: self.sweep_id,
            Tag.OPTIMIZER: optimizer,
            Tag.NUMBER: str(number),
            Tag.SUBSET: str(self.definition.subset).lower(),
            **(more_tags or {}),
        }
        splits: tuple[EvaluationSplit, ...] = ("validation",) if stage is Stage.TRIAL else ("validation", "test")
        run_id = found.run_id if found else None
        of_data = self.data, self.origin
        run = open_run(config, self.tracker, self.name, label, tags, splits, *of_data, run_id, self._folder(key))
        if stage is Stage.FINAL:
            return Job(stage, optimizer, number, run, limit)
        return Job(stage, optimizer, number, run, limit, self.definition.milestones, self.definition.pruned_at)


def with_outputs(config: RunConfig, logits: frozenset[str]) -> RunConfig:
    """Say of a config's model that it gives logits where it is one of those that do."""
    is_one = isinstance(config.model, OwnModelConfig) and config.model.name in logits
    return with_settings(config, {"model.outputs": "logits"}) if is_one else config


def _key(stage: Stage, optimizer: str, number: int, config: RunConfig) -> tuple[str, ...]:
    """What a trial or final is found by among those recorded."""
    return stage, optimizer, str(number), config_hash(config)


def _has_ended(final: FoundRun) -> bool:
    """Whether nothing of it is left to do. One that failed with its sweep, because of something else, goes on."""
    outcome = final.tags.get(Tag.OUTCOME)
    given_up = outcome == Outcome.FAILED and Tag.GIVEN_UP in final.tags
    return given_up or outcome in (Outcome.COMPLETED, Outcome.DIVERGED)


def open_searches(experiment: str, sweep_id: str, definition: SweepDefinition, storage: Storage) -> dict[str, Search]:
    """The studies of a sweep by optimizer, each where an earlier process left it."""
    of_sweep = {"experiment": experiment, "mlflow_run_id": sweep_id}
    with storage.together():
        return {
            name: Search(storage, name, definition, f"{name} of {sweep_id}", of_sweep | {"optimizer": name})
            for name in definition.optimizers
        }


def recorded_runs(name: str, sweep_id: str, tracker: Outbox) -> dict[tuple[str, ...], FoundRun]:
    """The sweep's trials and finals by stage, number and config hash."""
    return {
        tuple(run.tags.get(tag, "") for tag in (Tag.STAGE, Tag.OPTIMIZER, Tag.NUMBER, Tag.CONFIG_HASH)): run
        for run in tracker.find_runs(name, {Tag.SWEEP_ID: sweep_id})
    }
