"""Train one tracked run: begin or resume it, train it slice by slice, and end it."""

import json
from collections.abc import Callable
from pathlib import Path

from harness.config import RunConfig, config_hash, parse_config
from harness.errors import BadInputError, WorkFailedError
from harness.lock import only_process
from harness.open_run import (
    OpenRun,
    broken_outcome,
    checkpoint_folder,
    close_broken_run,
    close_run,
    open_run,
    record_slice,
    run_name,
)
from harness.provenance.imported import imported_source
from harness.provenance.origin import (
    changed_source,
    load_present_splits,
    new_origin,
    present_origin,
    require_same_data,
)
from harness.provenance.source import own_names, short
from harness.records import CONFIG_ARTIFACT, EpochMetrics, Outcome, RunRecord, Stage, Tag
from harness.slices import OnStep, train_slice
from harness.tracking.buffered import delivered
from harness.tracking.tracker import Tracker
from harness.training.checkpoint import discard
from harness.training.checks import require_sound
from harness.training.determinism import require_threads
from harness.training.loop import EvaluationSplit


def begin_run(config: RunConfig, tracker: Tracker, experiment: str, data_dir: Path | None = None) -> OpenRun:
    """Begin a new single run. It measures the test set after every epoch, as the chapter does, and validation if any.

    Raises:
        BadInputError: the config, the data or a user's own part can't be used.
    """
    require_threads(config.threads)
    source = imported_source(own_names(config))
    data = load_present_splits(config.dataset, config.device, data_dir)
    config = require_sound(config, data)
    origin = new_origin(config, data, source)
    name = run_name(config, config.optimizer.name, f"run s{config.seed}")
    return open_run(config, tracker, experiment, name, {Tag.STAGE: Stage.RUN}, _splits(config), data, origin)


def resume_run(run_id: str, tracker: Tracker, data_dir: Path | None = None) -> OpenRun:
    """Open a stopped single run at its last saved state, or at its beginning if no state was saved.

    Raises:
        BadInputError: there is no such run, it is part of a sweep, it has ended, or the data or the source of its
            own parts have changed.
        DamagedFileError: the saved state is damaged.
        BusyError: another process is training the run.
    """
    found = tracker.find_run(run_id)
    if found.tags.get(Tag.STAGE) != Stage.RUN:
        raise BadInputError(
            "run",
            run_id,
            f"is a {found.tags.get(Tag.STAGE)}",
            expected="a single run",
            next_step="rerun the sweep itself to resume it",
        )
    if found.tags.get(Tag.OUTCOME) in (Outcome.COMPLETED, Outcome.DIVERGED):
        raise BadInputError(
            "run",
            run_id,
            f"has {found.tags[Tag.OUTCOME]}",
            expected="a run that was stopped",
            next_step="start a new run",
        )
    config = parse_config(json.loads(tracker.read_artifact(run_id, CONFIG_ARTIFACT)))
    source = imported_source(own_names(config))
    data = require_same_data(config, found.tags.get(Tag.DATA_DIGEST), data_dir)
    if changed := changed_source(found, source, tracker.read_artifact):
        file, was, now = changed[0]
        raise BadInputError(
            "run",
            run_id,
            f"was begun with source {file!r} {short(was)}, which is {short(now)} now",
            expected="the same source",
            next_step="restore it to resume the run, or start a new run",
        )
    origin = present_origin(data, source)
    with only_process(checkpoint_folder(run_id), "run", run_id):
        return open_run(config, tracker, "", "", {}, _splits(config), data, origin, run_id)


def complete_run(
    run: OpenRun,
    tracker: Tracker,
    data_dir: Path | None = None,
    on_epoch: Callable[[EpochMetrics], None] = lambda _: None,
    on_step: OnStep | None = None,
) -> RunRecord:
    """Train an open run to its end, in slices of about ten seconds; track each slice when it ends.

    An exception ends the run as `failed`, an interrupt as `killed`. `on_epoch` is called after each epoch, `on_step`
    after each step.

    Raises:
        BusyError: another process is training the run.
        WorkFailedError: a file could not be written, for example because the disk is full, or the store was
            unavailable for too long.
    """
    with only_process(run.folder, "run", run.run_id), delivered(tracker) as outbox:
        try:
            while not run.trained:
                state = run.checkpoint.state
                result = train_slice(run.config, state, run.splits, data_dir, run.origin, on_step=on_step)
                record_slice(outbox, run, result)
                if result.metrics:
                    on_epoch(result.metrics)
            ended, outcome = close_run(outbox, run)
        except BaseException as error:
            close_broken_run(outbox, run.run_id, broken_outcome(error), error)
            if isinstance(error, OSError):
                raise WorkFailedError(run.run_id, f"run stopped in epoch {run.logged + 1}, {error}") from error
            error.add_note(f"This was in epoch {run.logged + 1} of run {run.run_id}.")  # shown after its traceback
            raise
    discard(run.folder)
    return RunRecord(
        run_id=run.run_id,
        config=run.config,
        config_hash=config_hash(run.config),
        state_hash=ended.hash(),
        outcome=outcome,
        divergence=run.checkpoint.divergence,
        epochs=run.checkpoint.epochs,
    )


def _splits(config: RunConfig) -> tuple[EvaluationSplit, ...]:
    return ("validation", "test") if config.dataset.validation_size else ("test",)
