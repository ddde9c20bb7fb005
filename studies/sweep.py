"""The coordinator of a sweep: every optimizer searched under the same budget, then winners rerun on fresh seeds."""

import functools
import hashlib
import json
import logging
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from threading import Event
from typing import Any, get_args

from harness.config import (
    NEXT_STEP,
    OwnModelConfig,
    RunConfig,
    canonical_json,
    config_hash,
    differences,
    flatten,
    validated,
    with_settings,
)
from harness.errors import BadInputError, WorkFailedError, without_password
from harness.lock import only_process
from harness.provenance.origin import (
    Origin,
    changed_source,
    load_cached_splits,
    new_origin,
    present_origin,
    source_tags,
)
from harness.provenance.source import own_names, short
from harness.records import (
    DEFINITION_ARTIFACT,
    IMPORTANCES_ARTIFACT,
    METRIC_NAMES,
    DatasetUse,
    Outcome,
    Stage,
    Tag,
)
from harness.run import (
    broken_outcome,
    close_broken_run,
    close_run,
    log_provenance,
    open_run,
    provenance_tags,
    run_name,
)
from harness.tracking.buffered import Outbox, delivered
from harness.tracking.tracker import FoundRun, Tracker, json_bytes
from harness.training.checkpoint import discard, is_kept
from harness.training.checks import require_sound
from harness.training.data import dataset_inputs
from harness.training.determinism import require_threads
from harness.training.images import Splits
from harness.training.loop import EvaluationSplit
from harness.training.networks import gives_logits
from studies.definition import OptimizerResult, SweepDefinition, SweepResult
from studies.executors.pool import WorkerPool
from studies.jobs import Job, Observer, Queue, run_jobs
from studies.progress import Progress, Publisher
from studies.queues import Trials
from studies.search.storage import Database, Journal, Storage
from studies.search.study import Search, Trial
from studies.snapshot import sweep_folder
from studies.space import Choice, trial_config

logger = logging.getLogger(__name__)
JOURNAL = "optuna.journal"
FILE = "file"  # where studies are that are in no database


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

    def config(self, optimizer: str, values: Mapping[str, Any], epochs: int, seed: int) -> RunConfig:
        """The full config of a trial or final."""
        config = trial_config(self.definition.base, {**self.definition.settings(optimizer), **values}, epochs, seed)
        return _with_outputs(config, self.logits)

    def trial(self, optimizer: str, trial: Trial) -> Job:
        """The trial's job."""
        config = self._trial_config(optimizer, trial)
        return self._begin(self._job(Stage.TRIAL, optimizer, trial.number, config, trial.limit))

    def final(self, optimizer: str, seed: int, quiet: bool) -> Job | None:
        """The final's job; None where it has come to its end, or no trial has, so that there is no winner."""
        best = self.searches[optimizer].best
        if best is None:
            return None
        config = self.config(optimizer, best[0], self.definition.final_epochs, seed)
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
            config = self.config(optimizer, best[0], self.definition.final_epochs, seed)
            final = self.recorded.get(_key(Stage.FINAL, optimizer, seed, config))
            if final is not None:
                yield final

    def completed_finals(self, optimizer: str) -> list[FoundRun]:
        """Those of them that came to their end."""
        finals = self.winners_finals(optimizer)
        return [final for final in finals if final.tags.get(Tag.OUTCOME) == Outcome.COMPLETED]

    def record_what_ended(self) -> None:
        """Track to its end each trial that ended before the store had all of it: its checkpoint is still there."""
        for optimizer, search in self.searches.items():
            for trial in search.trials:
                config = self._trial_config(optimizer, trial)
                key = _key(Stage.TRIAL, optimizer, trial.number, config)
                recorded = key in self.recorded and self.recorded[key].tags.get(Tag.OUTCOME) == trial.outcome
                if trial.outcome is None or (recorded and not is_kept(self._folder(key))):
                    continue
                job = self._job(Stage.TRIAL, optimizer, trial.number, config, trial.limit)
                if trial.outcome is Outcome.FAILED:
                    self.tracker.end_run(job.run.run_id, Outcome.FAILED)
                else:
                    close_run(self.tracker, job.run)
                self.tracker.when_delivered(functools.partial(discard, job.run.folder))

    def break_off(self, error: BaseException) -> None:
        """Close what is under way, and the sweep."""
        failed = error.run_id if isinstance(error, WorkFailedError) else None
        for job in self.jobs:
            if job.outcome is None:
                outcome = Outcome.FAILED if job.run.run_id == failed else Outcome.KILLED
                close_broken_run(self.tracker, job.run.run_id, outcome, error)
        close_broken_run(self.tracker, self.sweep_id, broken_outcome(error), error)

    def _trial_config(self, optimizer: str, trial: Trial) -> RunConfig:
        return self.config(optimizer, trial.values, self.definition.trial_epochs, self.definition.base.seed)

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
        limit: int,
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
        return Job(stage, optimizer, number, run, limit)


class Finals:
    """A queue of finals: every winner on every seed of it, the optimizers side by side."""

    def __init__(self, sweep: Sweep, seeds: Sequence[int], quiet: bool) -> None:
        self._sweep = sweep
        self._quiet = quiet
        self._to_begin = deque((optimizer, seed) for seed in seeds for optimizer in sweep.searches)
        self._ready: deque[Job] = deque()

    def next(self) -> Job | None:
        """One that goes on, else the next that has not come to its end."""
        while not self._ready and self._to_begin:
            job = self._sweep.final(*self._to_begin.popleft(), self._quiet)
            if job is not None:
                return job
        return self._ready.popleft() if self._ready else None

    def put(self, job: Job) -> None:
        """It has trained one more epoch."""
        self._ready.append(job)

    def end(self, job: Job) -> None:
        """Nothing waits for it."""


def run_sweep(
    name: str,
    definition: SweepDefinition,
    tracker: Tracker,
    pool: WorkerPool,
    observer: Observer | None = None,
    stop: Event | None = None,
    fresh: bool = False,
    storage: str | None = None,
    command: str | None = None,
) -> SweepResult:
    """Search every optimizer under the same budget, then rerun each winner on the fresh seeds.

    Goes on with the last sweep of that name that was begun in this folder, unless `fresh`; one that has come to
    its end has nothing left to do, unless there is more budget now. Where the data or the source of own parts are
    others than that one's, a new one begins. Its Optuna studies are in the database `storage`, or in a file of its
    folder. `command` is what a person says to go on with it.

    Raises:
        BadInputError: that sweep has another definition, storage, data or source of own parts and has not ended,
            another process is running it, the database can't be used, a user's own model or optimizer, or a dataset
            function of which two processes have other data.
        WorkFailedError: trials fail one after the other, workers die again and again, or the tracking store was away
            for too long.
        ConnectionError: the database is away.
        KeyboardInterrupt: `stop` was set, or Ctrl-C came.
    """
    database = Database(storage) if storage else None
    data = load_cached_splits(definition.base.dataset, definition.base.device, pool.data_dir)
    for optimizer in definition.optimizers:
        require_threads(definition.example(optimizer).threads)
    logits = _require_sound(definition, data)
    kept_in = without_password(storage) if storage else FILE
    names = _own_names(definition)
    origin = present_origin(data, names)
    found, definition = (None, definition) if fresh else _find(name, definition, kept_in, tracker, origin)
    if found is None:
        origin = new_origin(definition.base, data, names)
    sweep_id = found.run_id if found else _start(name, definition, kept_in, tracker, origin)
    with only_process(sweep_folder(sweep_id), f"sweep {sweep_id!r}"), delivered(tracker) as outbox:
        sweep = Sweep(
            name,
            definition,
            sweep_id,
            data,
            origin,
            outbox,
            pool,
            [observer or Observer()],
            stop or Event(),
            _open_searches(name, sweep_id, definition, database or Journal(sweep_folder(sweep_id) / JOURNAL)),
            _recorded(name, sweep_id, outbox),
            logits,
        )
        if command is not None:
            outbox.set_tags(sweep_id, {Tag.COMMAND: command})
        if found is None or not _is_complete(found, definition):
            _run_to_the_end(sweep)
        if winner := _winner(sweep):
            outbox.log_model(sweep_id, winner.run_id, data)
        return _result(sweep)


def _require_sound(definition: SweepDefinition, data: Splits) -> frozenset[str]:
    """Try what is a user's own of every optimizer's trials, and return the models that were found to give logits."""
    logits: frozenset[str] = frozenset()
    for optimizer in definition.optimizers:
        for example in definition.examples(optimizer):
            sound = require_sound(_with_outputs(example, logits), data, definition.batch_sizes(optimizer)).model
            if isinstance(sound, OwnModelConfig) and gives_logits(sound):
                logits |= {sound.name}
    return logits


def _with_outputs(config: RunConfig, logits: frozenset[str]) -> RunConfig:
    """Say of a config's model that it gives logits where it is one of those that do."""
    is_one = isinstance(config.model, OwnModelConfig) and config.model.name in logits
    return with_settings(config, {"model.outputs": "logits"}) if is_one else config


def _run_to_the_end(sweep: Sweep) -> None:
    tracker, sweep_id, definition = sweep.tracker, sweep.sweep_id, sweep.definition
    tracker.reopen_run(sweep_id, _params(definition))
    try:
        tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, canonical_json(definition).encode())
        tracker.set_tags(sweep_id, {Tag.DEFINITION_HASH: config_hash(definition)})
        tracker.log_inputs(sweep_id, dataset_inputs(definition.base.dataset, sweep.data, get_args(DatasetUse)))
        sweep.record_what_ended()
        _watch(sweep)
        sweep.run(Trials(definition, sweep.searches, sweep.trial), sweep.pool.workers)
        # the first seed's finals train one at a time, so that their durations are those of a quiet machine
        first, *others = definition.final_seeds
        sweep.run(Finals(sweep, [first], quiet=True), at_a_time=1)
        sweep.run(Finals(sweep, others, quiet=False), sweep.pool.workers)
        tracker.log_artifact(sweep_id, IMPORTANCES_ARTIFACT, json_bytes(_importances(sweep)))
        sweep.recorded = _recorded(sweep.name, sweep_id, tracker)
        _mark_superseded(sweep)
        tracker.log_metrics(sweep_id, _summary(_result(sweep)), step=definition.budget)
    except BaseException as error:
        sweep.break_off(error)
        raise
    tracker.end_run(sweep_id, Outcome.COMPLETED)


def _key(stage: Stage, optimizer: str, number: int, config: RunConfig) -> tuple[str, ...]:
    """What a trial or final is found by among those recorded."""
    return stage, optimizer, str(number), config_hash(config)


def _has_ended(final: FoundRun) -> bool:
    """Whether nothing of it is left to do. One that failed with its sweep, because of something else, goes on."""
    outcome = final.tags.get(Tag.OUTCOME)
    given_up = outcome == Outcome.FAILED and Tag.GIVEN_UP in final.tags
    return given_up or outcome in (Outcome.COMPLETED, Outcome.DIVERGED)


def _is_complete(found: FoundRun, definition: SweepDefinition) -> bool:
    tags = found.tags
    return tags.get(Tag.OUTCOME) == Outcome.COMPLETED and tags[Tag.DEFINITION_HASH] == config_hash(definition)


def _own_names(definition: SweepDefinition) -> set[str]:
    """The user's own parts that the sweep can train: of its optimizers' configs, and among what is searched."""
    names = {name for optimizer in definition.optimizers for name in own_names(definition.example(optimizer))}
    for optimizer in definition.optimizers:
        for key, searched in definition.searched(optimizer).items():
            if key.endswith(".name") and isinstance(searched, Choice):
                names |= {str(name) for name in searched.choices if ":" in str(name)}
    return names


def _find(
    name: str, definition: SweepDefinition, kept_in: str, tracker: Tracker, origin: Origin
) -> tuple[FoundRun | None, SweepDefinition]:
    """The last sweep of that name with a folder here, if it is one to go on with; and what is to be done now.

    What was spent stays spent, so a budget can only grow.
    """
    for found in tracker.find_runs(name, {Tag.STAGE: Stage.SWEEP}):
        if not sweep_folder(found.run_id).exists():
            continue
        stored = json.loads(tracker.read_artifact(found.run_id, DEFINITION_ARTIFACT))
        # parsed, so that fields which are younger than that sweep are there, as they were: off
        try:
            then = validated(SweepDefinition, stored)
        except BadInputError as error:  # it was allowed when that sweep began
            if found.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
                return None, definition
            raise BadInputError(
                f"sweep {found.run_id!r} of {name!r} has not ended, and its own definition is no longer allowed "
                f"({str(error).removesuffix(NEXT_STEP)}); say --fresh to begin anew"
            ) from None
        changed = _changed_definition(then, definition, found.tags[Tag.STORAGE], kept_in)
        other = "" if changed else _other_origin(found, definition, tracker, origin)
        if not changed and not other:
            return found, definition.model_copy(update={"budget": max(definition.budget, then.budget)})
        if found.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
            if other:
                logger.warning("harness: sweep %r ended with another %s; a new one begins", found.run_id, other)
            return None, definition
        what = f"its {changed}: its own definition" if changed else f"began with another {other}: its own"
        raise BadInputError(
            f"sweep {found.run_id!r} of {name!r} has not ended, and {what} is allowed; restore it to go on, or say "
            "--fresh to begin anew"
        )
    return None, definition


def _changed_definition(then: SweepDefinition, now: SweepDefinition, kept_in_then: str, kept_in_now: str) -> str:
    """The first field that is another, and both values; empty where none is but the budget."""
    both = ((then, kept_in_then), (now, kept_in_now))
    ones, others = ({**json.loads(canonical_json(each)), "budget": 0, "storage": of} for each, of in both)
    return next((f"{key} was {was!r}, now {is_now!r}" for key, was, is_now in differences(ones, others)), "")


def _other_origin(found: FoundRun, definition: SweepDefinition, tracker: Tracker, now: Origin) -> str:
    """The file of own parts, or the dataset, that a sweep began with and that is another now; empty where none is."""
    for file, was, is_now in changed_source(found, now.source, tracker.read_artifact):
        return f"{file!r} ({short(was)}, now {short(is_now)})"
    digest = found.tags.get(Tag.DATA_DIGEST, now.digest)
    if digest == now.digest:
        return ""
    return f"dataset {definition.base.dataset.name!r} (digest {short(digest)}, now {short(now.digest)})"


def _start(name: str, definition: SweepDefinition, kept_in: str, tracker: Tracker, origin: Origin) -> str:
    tags = {
        Tag.STORAGE: kept_in,
        Tag.STAGE: Stage.SWEEP,
        Tag.SEQUENCE: f"{tracker.latest_sequence() + 1:08}",
        Tag.DEFINITION_HASH: config_hash(definition),
        Tag.SUBSET: str(definition.subset).lower(),
        Tag.DATA_DIGEST: origin.digest,
        Tag.DEVICE: definition.base.device,
        Tag.THREADS: str(definition.base.threads),
        Tag.NOTE: _note(definition),
        **source_tags(origin.source),
    }
    sweep_id = tracker.start_run(name, name, _params(definition), tags | provenance_tags())
    tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, canonical_json(definition).encode())
    log_provenance(tracker, sweep_id, origin.source)
    return sweep_id


def _open_searches(
    experiment: str, sweep_id: str, definition: SweepDefinition, storage: Storage
) -> dict[str, Search]:
    """The studies of a sweep by optimizer, each where an earlier process left it."""
    of_sweep = {"experiment": experiment, "mlflow_run_id": sweep_id}
    with storage.together():
        return {
            name: Search(storage, name, definition, f"{name} of {sweep_id}", of_sweep | {"optimizer": name})
            for name in definition.optimizers
        }


def _recorded(name: str, sweep_id: str, tracker: Outbox) -> dict[tuple[str, ...], FoundRun]:
    """The sweep's trials and finals by stage, number and config hash."""
    return {
        tuple(run.tags.get(tag, "") for tag in (Tag.STAGE, Tag.OPTIMIZER, Tag.NUMBER, Tag.CONFIG_HASH)): run
        for run in tracker.find_runs(name, {Tag.SWEEP_ID: sweep_id})
    }


def _watch(sweep: Sweep) -> None:
    """Count what the sweep does for those who watch it, beginning with what earlier coordinators spent."""
    searches = sweep.searches
    finals = Counter(dict.fromkeys(searches, 0))
    for run in sweep.recorded.values():
        if run.tags[Tag.STAGE] == Stage.FINAL and run.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
            finals[run.tags[Tag.OPTIMIZER]] += sweep.definition.final_epochs
    progress = Progress(
        sweep.definition,
        sweep.pool.workers,
        {name: study.spent for name, study in searches.items()},
        finals,
        {name: study.best[1] for name, study in searches.items() if study.best},
    )
    for observer in sweep.observers:
        observer.opened(sweep.sweep_id, progress)
    sweep.observers = [progress, Publisher(progress, sweep_folder(sweep.sweep_id)), *sweep.observers]


def _params(definition: SweepDefinition) -> dict[str, Any]:
    """What MLflow shows of a definition; without the budget, of which there may be more later."""
    return {_name(key): value for key, value in flatten(definition).items() if key != "budget"}


def _note(definition: SweepDefinition) -> str:
    subset = "**Subset of the data, for a first look: its accuracies mean nothing.** " if definition.subset else ""
    return (
        f"{subset}{', '.join(definition.optimizers)}: trials of up to {definition.trial_epochs} epochs within one "
        f"budget each, selected on validation; then finals of {definition.final_epochs} epochs on seeds "
        f"{', '.join(map(str, definition.final_seeds))}, measured on the test set."
    )


def _result(sweep: Sweep) -> SweepResult:
    """What is recorded of the sweep."""

    def of(optimizer: str, study: Search) -> OptimizerResult:
        values, accuracy = study.best or (None, None)
        finals = tuple(final.metrics[METRIC_NAMES["test_accuracy"]] for final in sweep.completed_finals(optimizer))
        return OptimizerResult(
            trials=sum(trial.outcome is not None for trial in study.trials),
            outcomes=dict(Counter(trial.outcome for trial in study.trials if trial.outcome)),
            epochs_spent=study.spent,
            best=values,
            best_validation_accuracy=accuracy,
            finals=finals,
            mean=mean(finals) if finals else None,
        )

    return SweepResult(
        sweep_id=sweep.sweep_id, optimizers={name: of(name, study) for name, study in sweep.searches.items()}
    )


def _winner(sweep: Sweep) -> FoundRun | None:
    """The first final of the optimizer whose finals validated best on average; None where none completed.

    Not the one whose best trial did: that is the luckiest of many on one seed. One whose finals diverged comes after
    those of which more completed.
    """
    accuracy = METRIC_NAMES["validation_accuracy"]
    finals = [completed for optimizer in sweep.searches if (completed := sweep.completed_finals(optimizer))]
    best = max(finals, key=lambda each: (len(each), mean(final.metrics[accuracy] for final in each)), default=None)
    return best[0] if best else None


def _mark_superseded(sweep: Sweep) -> None:
    """The finals of earlier winners: more trials have found better ones since."""
    current = {final.run_id for optimizer in sweep.searches for final in sweep.winners_finals(optimizer)}
    for run in sweep.recorded.values():
        if run.tags[Tag.STAGE] == Stage.FINAL and run.run_id not in current:
            sweep.tracker.set_tags(run.run_id, {Tag.SUPERSEDED: "true"})


def _importances(sweep: Sweep) -> dict[str, dict[str, float]]:
    """What each config key mattered to each optimizer's search, for those of which the trials say it."""
    found = {name: search.importances() for name, search in sweep.searches.items()}
    return {name: shares for name, shares in found.items() if shares}


def _summary(result: SweepResult) -> dict[str, float]:
    """What the sweep's own run shows in MLflow."""
    return {
        _name(f"final_test_accuracy/{name}"): each.mean
        for name, each in result.optimizers.items()
        if each.mean is not None
    }


def _name(text: str) -> str:
    """Of a param or metric: on Windows MLflow takes no colon in it, and a user's own optimizer has one."""
    return text.replace(":", ".")
