"""Coordinate a sweep: search every optimizer under the same budget, then train the winners again on fresh seeds."""

from functools import partial
from threading import Event
from typing import get_args

from harness.config import canonical_json, config_hash
from harness.export import export_model
from harness.lock import only_process
from harness.records import DEFINITION_ARTIFACT, IMPORTANCES_ARTIFACT, DatasetUse, Outcome, Stage, Tag
from harness.tracking.buffered import delivered
from harness.tracking.tracker import Tracker, json_bytes
from harness.training.data import dataset_inputs
from harness.training.images import Splits
from harness.training.inputs import found_inputs
from studies.beginning import begin_sweep, params_of
from studies.deciding import in_need, is_decided
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool
from studies.findings import SweepResult, importances_of, log_course, mark_superseded, result_of, winning_final
from studies.open_sweep import Replicate, Sweep, recorded_runs
from studies.progress import Progress, Publisher, SweepObserver
from studies.queues import Trials, WholeRuns
from studies.replicates import confirming
from studies.search.storage import Database, Journal, without_optunas_log
from studies.snapshot import sweep_folder

JOURNAL = "optuna.journal"


def run_sweep(
    name: str,
    definition: SweepDefinition,
    tracker: Tracker,
    pool: WorkerPool,
    observer: SweepObserver | None = None,
    stop: Event | None = None,
    fresh: bool = False,
    storage: str | None = None,
    command: str | None = None,
) -> SweepResult:
    """Search every optimizer under the same budget, then train each winner again on the fresh seeds.

    Resumes the last sweep of that name that began in this folder, unless `fresh`. A completed sweep has nothing left
    to do, unless the definition now asks for more. A new sweep begins if a completed one had other data or another
    source of the user's own code. The sweep's Optuna studies are in the database `storage`, or in a file of its
    folder. `command` is the command that a person repeats to resume the sweep.

    Raises:
        BadInputError: the last sweep has not ended and has another definition, storage, dataset or source of own
            code; the database can't be used; the user's own code does not pass its checks; or a dataset function
            returns other data in another process.
        BusyError: another process is running the sweep.
        WorkFailedError: several trials in a row failed for the same cause, workers died several times in a row, or
            the tracking store was unavailable for too long.
        ConnectionError: the database is unavailable.
        SweepStopped: `stop` was set; the slices in flight are recorded.
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    database = Database(storage) if storage else None
    begun = begin_sweep(name, definition, tracker, pool.data_dir, storage, fresh)
    definition, sweep_id = begun.definition, begun.sweep_id
    folder = sweep_folder(sweep_id)
    with without_optunas_log(), only_process(folder, "sweep", sweep_id), delivered(tracker) as outbox:
        recorded = recorded_runs(name, sweep_id, outbox)
        studies = database or Journal(folder / JOURNAL)
        sweep = Sweep(
            name,
            definition,
            sweep_id,
            begun.origin,
            outbox,
            pool,
            [],
            stop or Event(),
            studies,
            recorded,
            found_inputs(begun.data),
            begun.logits,
        )
        if command is not None:
            outbox.set_tags(sweep_id, {Tag.COMMAND: command})
        if not begun.is_complete:
            _run_to_the_end(sweep, begun.data, observer or SweepObserver())
        if winner := winning_final(sweep):
            outbox.log_model(sweep_id, winner.run_id, partial(export_model, winner.run_id, begun.data))
        return result_of(sweep)


def _run_to_the_end(sweep: Sweep, data: Splits, observer: SweepObserver) -> None:
    tracker, sweep_id, definition = sweep.tracker, sweep.sweep_id, sweep.definition
    tracker.reopen_run(sweep_id, params_of(definition))
    try:
        tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, canonical_json(definition).encode())
        tracker.set_tags(sweep_id, {Tag.DEFINITION_HASH: config_hash(definition)})
        tracker.log_inputs(sweep_id, dataset_inputs(definition.base.dataset, data, get_args(DatasetUse)))
        for replicate in sweep.replicates:
            replicate.record_what_ended()
        _watch(sweep, observer)
        for replicate in sweep.replicates:
            _run_replicate(sweep, replicate)
            if is_decided(sweep, replicate.number + 1):
                break
        tracker.log_artifact(sweep_id, IMPORTANCES_ARTIFACT, json_bytes(importances_of(sweep)))
        sweep.read_recorded()
        mark_superseded(sweep)
        log_course(sweep)
    except BaseException as error:
        sweep.break_off(error)
        raise
    tracker.end_run(sweep_id, Outcome.COMPLETED)


def _run_replicate(sweep: Sweep, replicate: Replicate) -> None:
    """Search every optimizer, confirm the winners and train their finals; more finals for undecided pairs."""
    definition = replicate.definition
    sweep.run(Trials(definition, replicate.searches, replicate.trial))
    log_course(sweep)
    for which in range(len(confirming(definition))):
        sweep.read_recorded()
        sweep.run(WholeRuns(replicate.confirmations(which)))
    sweep.read_recorded()
    seeds = definition.final_seeds
    before = 0
    for look in definition.looks_at if definition.replicates == 1 else (len(seeds),):
        names = in_need(replicate, seeds[:before]) if before else definition.optimizers
        # the optimizers in turn, so that all of them meet the same state of the machine
        finals = [partial(replicate.final, name, seed) for seed in seeds[before:look] for name in names]
        sweep.run(WholeRuns(finals))
        sweep.read_recorded()
        before = look
    if definition.start_finals:
        trained = {name: replicate.seeds_of_finals(name) for name in definition.optimizers}
        starts = [(name, seed) for seed in seeds for name in definition.optimizers if seed in trained[name]]
        sweep.run(WholeRuns(partial(replicate.start_final, *each) for each in starts))


def _watch(sweep: Sweep, observer: SweepObserver) -> None:
    """Create the progress and connect the observers; count first what earlier processes of the sweep spent."""
    definition = sweep.definition
    spent: dict[str, float] = dict.fromkeys(definition.optimizers, 0.0)
    finals = dict(spent)
    best: dict[str, float] = {}
    for replicate in sweep.replicates:
        for name, study in replicate.searches.items():
            spent[name] += study.epochs_spent
            if study.best:
                best[name] = max(best.get(name, 0.0), study.best[1])
    for run in sweep.recorded.values():
        stage, name = Stage(run.tags[Tag.STAGE]), run.tags[Tag.OPTIMIZER]
        if stage is Stage.CONFIRMATION and Tag.OUTCOME in run.tags:
            spent[name] += definition.trial_epochs
        elif not stage.is_tuning and run.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
            finals[name] += definition.final_epochs
    progress = Progress(definition, sweep.pool.workers, spent, finals, best)
    observer.opened(sweep.sweep_id, progress)
    sweep.observers = [progress, Publisher(progress, sweep_folder(sweep.sweep_id)), observer]
