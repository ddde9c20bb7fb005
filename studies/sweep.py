"""The coordinator of a sweep: every optimizer searched under the same budget, then winners rerun on fresh seeds."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from threading import Event
from typing import Any

from harness.checkpoint import discard
from harness.config import RunConfig, canonical_json, config_hash, differences, flatten
from harness.errors import BadInputError
from harness.lock import only_process
from harness.records import DEFINITION_ARTIFACT, METRIC_NAMES, EpochMetrics, Outcome, Stage, Tag
from harness.run import (
    broken_outcome,
    checkpoint_folder,
    close_broken_run,
    load_cached_splits,
    log_provenance,
    open_run,
    provenance_tags,
)
from harness.tracking import WORK_FOLDER, FoundRun, Tracker
from harness.training import EvaluationSplit
from studies.definition import OptimizerResult, SweepDefinition, SweepResult
from studies.executors import WorkerPool
from studies.jobs import Job, Observer, run_jobs
from studies.search import Search, open_storage
from studies.space import trial_config

JOURNAL = "optuna.journal"


class SilentObserver:
    """Watches nothing."""

    def opened(self, sweep_id: str, spent: Mapping[str, int], best: Mapping[str, float]) -> None:
        """Say nothing."""

    def started(self, job: Job) -> None:
        """Say nothing."""

    def trained(self, job: Job, metrics: EpochMetrics) -> None:
        """Say nothing."""

    def ended(self, job: Job) -> None:
        """Say nothing."""


@dataclass
class Sweep:
    """A sweep that is open: what it does, where it is recorded, who works on it and who watches."""

    name: str
    definition: SweepDefinition
    sweep_id: str
    data_digest: str
    tracker: Tracker
    pool: WorkerPool
    observer: Observer
    stop: Event
    searches: dict[str, Search]
    recorded: dict[tuple[str, ...], FoundRun]

    def run(self, next_job: Callable[[], Job | None]) -> Iterator[Job]:
        """The jobs that `next_job` gives, as they end."""
        return run_jobs(next_job, self.pool, self.tracker, self.observer, self.stop)

    def job(self, stage: Stage, optimizer: str, number: int, config: RunConfig) -> Job:
        """The trial or final of that number: the recorded one, gone on with, or a new one."""
        found = self.recorded.get(_key(stage, number, config))
        which = f"#{number}" if stage is Stage.TRIAL else f"seed {number}"
        label = f"{optimizer} lr={config.optimizer.lr:.2g} bs={config.batch_size} {which}"
        tags = {
            Tag.STAGE: stage,
            Tag.SWEEP_ID: self.sweep_id,
            Tag.PARENT: self.sweep_id,
            Tag.NUMBER: str(number),
            Tag.SUBSET: str(self.definition.subset).lower(),
        }
        splits: tuple[EvaluationSplit, ...] = ("validation",) if stage is Stage.TRIAL else ("validation", "test")
        run_id = found.run_id if found else None
        run = open_run(config, self.tracker, self.name, label, tags, splits, self.data_digest, run_id)
        job = Job(stage, optimizer, number, run)
        self.observer.started(job)
        return job


def run_sweep(
    name: str,
    definition: SweepDefinition,
    tracker: Tracker,
    pool: WorkerPool,
    observer: Observer | None = None,
    stop: Event | None = None,
    fresh: bool = False,
) -> SweepResult:
    """Search every optimizer under the same budget, then rerun each winner on the fresh seeds.

    Goes on with the last sweep of that name that was begun in this folder, unless `fresh`; one that has come to
    its end has nothing left to do, unless there are more trials now.

    Raises:
        BadInputError: that sweep has another definition and has not ended, or another process is running it.
        WorkFailedError: a trial or final failed.
        KeyboardInterrupt: `stop` was set, or Ctrl-C came.
    """
    digest = load_cached_splits(definition.base.dataset, definition.base.device, pool.data_dir).digest
    found = None if fresh else _find(name, definition, tracker)
    sweep_id = found.run_id if found else _start(name, definition, tracker, digest)
    with only_process(sweep_folder(sweep_id), f"sweep {sweep_id!r}"):
        sweep = Sweep(
            name,
            definition,
            sweep_id,
            digest,
            tracker,
            pool,
            observer or SilentObserver(),
            stop or Event(),
            _open_searches(sweep_id, definition),
            _recorded(name, sweep_id, tracker),
        )
        if found is None or not _is_complete(found, definition):
            _run_to_the_end(sweep)
        return _result(sweep)


def _run_to_the_end(sweep: Sweep) -> None:
    tracker, sweep_id, definition = sweep.tracker, sweep.sweep_id, sweep.definition
    tracker.reopen_run(sweep_id, _params(definition))
    try:
        tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, canonical_json(definition).encode())
        tracker.set_tags(sweep_id, {Tag.DEFINITION_HASH: config_hash(definition)})
        sweep.observer.opened(sweep_id, *_progress(sweep))
        search(sweep)
        measure(sweep)
        tracker.log_metrics(sweep_id, _summary(_result(sweep)), step=definition.trials)
    except BaseException as error:
        close_broken_run(tracker, sweep_id, broken_outcome(error), error)
        raise
    tracker.end_run(sweep_id, Outcome.COMPLETED)


def search(sweep: Sweep) -> None:
    """The trials, one at a time in each study, the studies side by side."""
    definition = sweep.definition
    idle = deque(name for name, study in sweep.searches.items() if study.ended < definition.trials)

    def next_trial() -> Job | None:
        if not idle:
            return None
        optimizer = idle.popleft()
        number, values = sweep.searches[optimizer].ask()
        config = trial_config(definition.base, optimizer, values, definition.trial_epochs, definition.base.seed)
        return sweep.job(Stage.TRIAL, optimizer, number, config)

    for job in sweep.run(next_trial):
        study = sweep.searches[job.optimizer]
        study.tell(
            job.number, job.last.validation_accuracy if job.last and job.outcome is Outcome.COMPLETED else None
        )
        discard(checkpoint_folder(job.run.run_id))
        if study.ended < definition.trials:
            idle.append(job.optimizer)


def measure(sweep: Sweep) -> None:
    """The finals: each winner on every fresh seed, those that are recorded already left out."""
    ended = (Outcome.COMPLETED, Outcome.DIVERGED)
    queue = deque(
        (optimizer, seed, config)
        for optimizer, seed, config in _finals(sweep)
        if (found := sweep.recorded.get(_key(Stage.FINAL, seed, config))) is None
        or found.tags.get(Tag.OUTCOME) not in ended
    )
    for job in sweep.run(lambda: sweep.job(Stage.FINAL, *queue.popleft()) if queue else None):
        discard(checkpoint_folder(job.run.run_id))


def _finals(sweep: Sweep) -> Iterator[tuple[str, int, RunConfig]]:
    """Optimizer, seed and config of every final, the optimizers side by side."""
    definition = sweep.definition
    for seed in definition.final_seeds:
        for optimizer, study in sweep.searches.items():
            if study.best is not None:
                values, _ = study.best
                yield (
                    optimizer,
                    seed,
                    trial_config(definition.base, optimizer, values, definition.final_epochs, seed),
                )


def _key(stage: Stage, number: int, config: RunConfig) -> tuple[str, ...]:
    """What a trial or final is found by among those recorded."""
    return stage, str(number), config_hash(config)


def sweep_folder(sweep_id: str) -> Path:
    """Where a sweep's Optuna journal and lock are."""
    return WORK_FOLDER / "sweeps" / sweep_id


def _is_complete(found: FoundRun, definition: SweepDefinition) -> bool:
    tags = found.tags
    return tags.get(Tag.OUTCOME) == Outcome.COMPLETED and tags[Tag.DEFINITION_HASH] == config_hash(definition)


def _find(name: str, definition: SweepDefinition, tracker: Tracker) -> FoundRun | None:
    """The last sweep of that name with a journal here, if it is one to go on with."""
    for found in tracker.find_runs(name, {Tag.STAGE: Stage.SWEEP}):
        if not (sweep_folder(found.run_id) / JOURNAL).exists():
            continue
        then = json.loads(tracker.read_artifact(found.run_id, DEFINITION_ARTIFACT))
        now = json.loads(canonical_json(definition))
        changed = differences(then | {"trials": 0}, now | {"trials": 0})
        if not changed:
            return found
        if found.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
            return None
        key, was, is_now = changed[0]
        raise BadInputError(
            f"sweep {found.run_id!r} of {name!r} has not ended, and its {key} was {was!r}, now {is_now!r}: "
            "its own definition is allowed; restore it to go on, or say --fresh to begin anew"
        )
    return None


def _start(name: str, definition: SweepDefinition, tracker: Tracker, digest: str) -> str:
    tags = {
        Tag.STAGE: Stage.SWEEP,
        Tag.DEFINITION_HASH: config_hash(definition),
        Tag.SUBSET: str(definition.subset).lower(),
        Tag.DATA_DIGEST: digest,
        Tag.DEVICE: definition.base.device,
        Tag.THREADS: str(definition.base.threads),
        Tag.NOTE: _note(definition),
    }
    sweep_id = tracker.start_run(name, name, _params(definition), tags | provenance_tags())
    tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, canonical_json(definition).encode())
    log_provenance(tracker, sweep_id)
    return sweep_id


def _open_searches(sweep_id: str, definition: SweepDefinition) -> dict[str, Search]:
    storage = open_storage(sweep_folder(sweep_id) / JOURNAL)
    return {
        optimizer: Search(storage, optimizer, definition.spaces[optimizer] | definition.space, definition.seed)
        for optimizer in definition.optimizers
    }


def _recorded(name: str, sweep_id: str, tracker: Tracker) -> dict[tuple[str, ...], FoundRun]:
    """The sweep's trials and finals by stage, number and config hash."""
    return {
        tuple(run.tags.get(tag, "") for tag in (Tag.STAGE, Tag.NUMBER, Tag.CONFIG_HASH)): run
        for run in tracker.find_runs(name, {Tag.SWEEP_ID: sweep_id})
    }


def _progress(sweep: Sweep) -> tuple[dict[str, int], dict[str, float]]:
    """Epochs that earlier coordinators spent on what has ended, and the best validation accuracy, by optimizer."""
    spent = {name: study.ended * sweep.definition.trial_epochs for name, study in sweep.searches.items()}
    for run in sweep.recorded.values():
        if run.tags[Tag.STAGE] == Stage.FINAL and run.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
            spent[run.tags[Tag.OPTIMIZER]] += sweep.definition.final_epochs
    return spent, {name: study.best[1] for name, study in sweep.searches.items() if study.best}


def _params(definition: SweepDefinition) -> dict[str, Any]:
    """What MLflow shows of a definition; without the trials, of which there may be more later."""
    return {key: value for key, value in flatten(definition).items() if key != "trials"}


def _note(definition: SweepDefinition) -> str:
    subset = "**Subset of the data, for a first look: its accuracies mean nothing.** " if definition.subset else ""
    return (
        f"{subset}{', '.join(definition.optimizers)}: trials of {definition.trial_epochs} epochs each, selected on "
        f"validation; then finals of {definition.final_epochs} epochs on seeds "
        f"{', '.join(map(str, definition.final_seeds))}, measured on the test set."
    )


def _result(sweep: Sweep) -> SweepResult:
    """What is recorded of the sweep."""
    recorded = _recorded(sweep.name, sweep.sweep_id, sweep.tracker)
    accuracies: dict[str, list[float]] = {optimizer: [] for optimizer in sweep.searches}
    for optimizer, seed, config in _finals(sweep):
        final = recorded.get(_key(Stage.FINAL, seed, config))
        if final is not None and final.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
            accuracies[optimizer].append(final.metrics[METRIC_NAMES["test_accuracy"]])

    def of(optimizer: str, study: Search) -> OptimizerResult:
        values, accuracy = study.best or (None, None)
        return OptimizerResult(
            trials=study.ended,
            epochs_spent=study.ended * sweep.definition.trial_epochs,
            best=values,
            best_validation_accuracy=accuracy,
            finals=tuple(accuracies[optimizer]),
            mean=mean(accuracies[optimizer]) if accuracies[optimizer] else None,
        )

    return SweepResult(
        sweep_id=sweep.sweep_id, optimizers={name: of(name, study) for name, study in sweep.searches.items()}
    )


def _summary(result: SweepResult) -> dict[str, float]:
    """What the sweep's own run shows in MLflow."""
    return {
        f"final_test_accuracy/{name}": each.mean for name, each in result.optimizers.items() if each.mean is not None
    }
