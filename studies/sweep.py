"""The coordinator of a sweep: every optimizer searched under the same budget, then winners rerun on fresh seeds."""

from collections import Counter
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
from studies.beginning import begin_sweep, params_of
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool
from studies.findings import SweepResult, importances_of, mark_superseded, result_of, summary_metrics, winning_final
from studies.open_sweep import Sweep, open_searches, recorded_runs
from studies.progress import Progress, Publisher, SweepObserver
from studies.queues import Finals, Trials
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
    """Search every optimizer under the same budget, then rerun each winner on the fresh seeds.

    Goes on with the last sweep of that name that was begun in this folder, unless `fresh`; one that has come to
    its end has nothing left to do, unless there is more budget now. Where the data or the source of own parts are
    others than that one's, a new one begins. Its Optuna studies are in the database `storage`, or in a file of its
    folder. `command` is what a person says to go on with it.

    Raises:
        BadInputError: that sweep has another definition, storage, data or source of own parts and has not ended,
            the database can't be used, a user's own model or optimizer, or a dataset function of which two processes
            have other data.
        BusyError: another process is running it.
        WorkFailedError: trials fail one after the other, workers die again and again, or the tracking store was away
            for too long.
        ConnectionError: the database is away.
        KeyboardInterrupt: `stop` was set, or Ctrl-C came.
    """
    database = Database(storage) if storage else None
    begun = begin_sweep(name, definition, tracker, pool.data_dir, storage, fresh)
    definition, sweep_id = begun.definition, begun.sweep_id
    folder = sweep_folder(sweep_id)
    with without_optunas_log(), only_process(folder, "sweep", sweep_id), delivered(tracker) as outbox:
        searches = open_searches(name, sweep_id, definition, database or Journal(folder / JOURNAL))
        recorded = recorded_runs(name, sweep_id, outbox)
        data, stop = begun.data, stop or Event()
        sweep = Sweep(
            name, definition, sweep_id, data, begun.origin, outbox, pool, [], stop, searches, recorded, begun.logits
        )
        if command is not None:
            outbox.set_tags(sweep_id, {Tag.COMMAND: command})
        if not begun.is_complete:
            _run_to_the_end(sweep, observer or SweepObserver())
        if winner := winning_final(sweep):
            outbox.log_model(sweep_id, winner.run_id, partial(export_model, winner.run_id, data))
        return result_of(sweep)


def _run_to_the_end(sweep: Sweep, observer: SweepObserver) -> None:
    tracker, sweep_id, definition = sweep.tracker, sweep.sweep_id, sweep.definition
    tracker.reopen_run(sweep_id, params_of(definition))
    try:
        tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, canonical_json(definition).encode())
        tracker.set_tags(sweep_id, {Tag.DEFINITION_HASH: config_hash(definition)})
        tracker.log_inputs(sweep_id, dataset_inputs(definition.base.dataset, sweep.data, get_args(DatasetUse)))
        sweep.record_what_ended()
        _watch(sweep, observer)
        sweep.run(Trials(definition, sweep.searches, sweep.trial), sweep.pool.workers)
        # the first seed's finals train one at a time, so that their durations are those of a quiet machine
        first, *others = definition.final_seeds
        sweep.run(Finals(sweep, [first], quiet=True), at_a_time=1)
        sweep.run(Finals(sweep, others, quiet=False), sweep.pool.workers)
        tracker.log_artifact(sweep_id, IMPORTANCES_ARTIFACT, json_bytes(importances_of(sweep)))
        sweep.recorded = recorded_runs(sweep.name, sweep_id, tracker)
        mark_superseded(sweep)
        tracker.log_metrics(sweep_id, summary_metrics(result_of(sweep)), step=definition.budget)
    except BaseException as error:
        sweep.break_off(error)
        raise
    tracker.end_run(sweep_id, Outcome.COMPLETED)


def _watch(sweep: Sweep, observer: SweepObserver) -> None:
    """Count what the sweep does for those who watch it, beginning with what earlier coordinators spent."""
    searches = sweep.searches
    finals = Counter(dict.fromkeys(searches, 0))
    for run in sweep.recorded.values():
        if run.tags[Tag.STAGE] == Stage.FINAL and run.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
            finals[run.tags[Tag.OPTIMIZER]] += sweep.definition.final_epochs
    progress = Progress(
        sweep.definition,
        sweep.pool.workers,
        {name: study.epochs_spent for name, study in searches.items()},
        finals,
        {name: study.best[1] for name, study in searches.items() if study.best},
    )
    observer.opened(sweep.sweep_id, progress)
    sweep.observers = [progress, Publisher(progress, sweep_folder(sweep.sweep_id)), observer]
