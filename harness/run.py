"""A tracked run from its beginning to its end: opened, advanced slice by slice, recorded, closed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.config import RunConfig, canonical_json, config_hash, flatten, learning_rate, parse_config
from harness.errors import BadInputError, WorkFailedError, without_password
from harness.lock import only_process
from harness.paths import work_folder
from harness.provenance.origin import (
    Origin,
    changed_source,
    data_for_slice,
    load_cached_splits,
    new_origin,
    present_origin,
    require_same_data,
    source_tags,
)
from harness.provenance.record import config_tags, log_provenance, provenance_tags
from harness.provenance.source import own_names, short
from harness.records import (
    CONFIG_ARTIFACT,
    MISTAKES_ARTIFACT,
    STATE_ARTIFACT,
    USES,
    DatasetUse,
    Divergence,
    EpochMetrics,
    Mistakes,
    Outcome,
    RunRecord,
    Stage,
    Tag,
)
from harness.tracking.buffered import delivered
from harness.tracking.tracker import Tracker
from harness.training.checkpoint import Checkpoint, discard, load_latest, save
from harness.training.checks import require_sound
from harness.training.data import dataset_inputs
from harness.training.determinism import require_threads
from harness.training.images import Splits
from harness.training.loop import EvaluationSplit, advance, initial_state
from harness.training.state import RunState

# the state, the metrics, and with what the run ended, if it did: a divergence, or its mistakes on the test set
SliceResult = tuple[bytes, tuple[EpochMetrics, ...], Divergence | Mistakes | None]


@dataclass
class OpenRun:
    """A tracked run that has not ended, and how far it is.

    `folder` is where its checkpoints are; `logged`: its epochs up to here are in the tracker; `origin` is what each
    slice must find where it executes.
    """

    run_id: str
    config: RunConfig
    splits: tuple[EvaluationSplit, ...]
    folder: Path
    checkpoint: Checkpoint
    logged: int
    origin: Origin | None = None

    @property
    def trained(self) -> bool:
        """Whether nothing is left to train."""
        return self.checkpoint.divergence is not None or len(self.checkpoint.epochs) >= self.config.epochs


def begin_run(config: RunConfig, tracker: Tracker, experiment: str, data_dir: Path | None = None) -> OpenRun:
    """A new single run. The test set is measured every epoch, as the chapter does, and so is validation if any."""
    require_threads(config.threads)
    data = load_cached_splits(config.dataset, config.device, data_dir)
    config = require_sound(config, data)
    origin = new_origin(config, data, own_names(config))
    name = run_name(config, config.optimizer.name, f"seed {config.seed}")
    return open_run(config, tracker, experiment, name, {Tag.STAGE: Stage.RUN}, _splits(config), data, origin)


def resume_run(run_id: str, tracker: Tracker, data_dir: Path | None = None) -> OpenRun:
    """A single run that was stopped, from its last kept state, or from its beginning where none was kept.

    Raises:
        BadInputError: no such run, it is part of a sweep, it has come to its end, or the data or the source of its
            own parts are others.
        DamagedFileError: its kept state is not what was written.
        BusyError: another process is at it.
    """
    found = tracker.find_run(run_id)
    if found.tags.get(Tag.STAGE) != Stage.RUN:
        raise BadInputError(
            "run",
            run_id,
            f"is a {found.tags.get(Tag.STAGE)}",
            expected="a single run",
            next_step="run the sweep itself again to go on with it",
        )
    if found.tags.get(Tag.OUTCOME) in (Outcome.COMPLETED, Outcome.DIVERGED):
        raise BadInputError(
            "run",
            run_id,
            f"has {found.tags[Tag.OUTCOME]}",
            expected="a run that was stopped",
            next_step="start a new one",
        )
    config = parse_config(json.loads(tracker.read_artifact(run_id, CONFIG_ARTIFACT)))
    data = require_same_data(config, found.tags.get(Tag.DATA_DIGEST), data_dir)
    origin = present_origin(data, own_names(config))
    if changed := changed_source(found, origin.source, tracker.read_artifact):
        file, was, now = changed[0]
        raise BadInputError(
            "run",
            run_id,
            f"was begun with source {file!r} {short(was)}, which is {short(now)} now",
            expected="its own",
            next_step="restore it to go on, or start a new run",
        )
    with only_process(checkpoint_folder(run_id), "run", run_id):
        return open_run(config, tracker, "", "", {}, _splits(config), data, origin, run_id)


def complete_run(
    run: OpenRun,
    tracker: Tracker,
    data_dir: Path | None = None,
    on_epoch: Callable[[EpochMetrics], None] = lambda _: None,
) -> RunRecord:
    """Train an open run to its end, each epoch tracked as it ends.

    An exception ends the run as `failed`, an interrupt as `killed`.

    Raises:
        BusyError: another process is at it.
        WorkFailedError: a file could not be written, for example because the disk is full, or the store was away
            for too long.
    """
    with only_process(run.folder, "run", run.run_id), delivered(tracker) as outbox:
        try:
            while not run.trained:
                result = train_slice(run.config, run.checkpoint.state, run.splits, data_dir, run.origin)
                for metrics in record_slice(outbox, run, result):
                    on_epoch(metrics)
            state, outcome = close_run(outbox, run)
        except BaseException as error:
            close_broken_run(outbox, run.run_id, broken_outcome(error), error)
            if isinstance(error, OSError):
                raise WorkFailedError(run.run_id, f"run stopped after epoch {run.logged}, {error}") from error
            raise
    discard(run.folder)
    return RunRecord(
        run_id=run.run_id,
        config=run.config,
        config_hash=config_hash(run.config),
        state_hash=state.hash(),
        outcome=outcome,
        divergence=run.checkpoint.divergence,
        epochs=run.checkpoint.epochs,
    )


def train_slice(
    config: RunConfig,
    state: bytes | None,
    splits: tuple[EvaluationSplit, ...],
    data_dir: Path | None,
    origin: Origin | None = None,
) -> SliceResult:
    """One more epoch of `config` from `state` (None: from the beginning), in this or any other process.

    Raises:
        BadInputError: the data or the source of own parts are not those of `origin`, where it is given.
    """
    data = data_for_slice(config, data_dir, origin)
    before = initial_state(config) if state is None else RunState.from_bytes(state)
    after = advance(config, before, data, 1, splits)
    return after.state.to_bytes(), after.metrics, after.divergence or after.mistakes


def open_run(
    config: RunConfig,
    tracker: Tracker,
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    splits: tuple[EvaluationSplit, ...],
    data: Splits,
    origin: Origin,
    run_id: str | None = None,
    folder: Path | None = None,
) -> OpenRun:
    """Start a run with its params, provenance tags, data, resolved config, environment and source; or go on with one.

    Its checkpoints are in `folder`, which for a single run is named after its id.
    """
    logged = 0
    source = origin.source.of(config)
    if run_id is None:
        tags = config_tags(config, data.digest) | source_tags(source) | provenance_tags() | dict(tags)
        run_id = tracker.start_run(experiment, name, flatten(config), tags)
    else:
        tracker.reopen_run(run_id, flatten(config))
        logged = tracker.last_step(run_id)
    uses: list[DatasetUse] = ["training", *(USES[split] for split in splits)]
    tracker.log_inputs(run_id, dataset_inputs(config.dataset, data, uses))
    tracker.log_artifact(run_id, CONFIG_ARTIFACT, canonical_json(config).encode())
    log_provenance(tracker, run_id, source)
    folder = folder or checkpoint_folder(run_id)
    run = OpenRun(run_id, config, splits, folder, load_latest(folder), logged, origin)
    _log_epochs(tracker, run)
    return run


def record_slice(tracker: Tracker, run: OpenRun, result: SliceResult) -> tuple[EpochMetrics, ...]:
    """Keep a slice's state, then track its metrics; in this order a crash between the two loses neither."""
    state, metrics, ending = result
    run.checkpoint = replace(
        run.checkpoint,
        state=state,
        epochs=run.checkpoint.epochs + metrics,
        divergence=ending if isinstance(ending, Divergence) else None,
        mistakes=ending if isinstance(ending, Mistakes) else None,
    )
    if run.trained or len(run.checkpoint.epochs) % run.config.checkpoint_every == 0:
        save(run.folder, run.checkpoint)
    _log_epochs(tracker, run)
    return metrics


def _log_epochs(tracker: Tracker, run: OpenRun) -> None:
    """Track the epochs that are not tracked yet: none twice, whatever was trained again after a crash."""
    for metrics in run.checkpoint.epochs[run.logged :]:
        tracker.log_metrics(run.run_id, metrics.as_metrics(), metrics.epoch)
        run.logged = metrics.epoch


def close_run(tracker: Tracker, run: OpenRun) -> tuple[RunState, Outcome]:
    """Store the final state, and the mistakes of a run that was measured on the test set; end it with its outcome.

    It has completed or diverged, or is pruned where epochs are missing.
    """
    assert run.checkpoint.state is not None, "a run is closed after its last slice"
    state = RunState.from_bytes(run.checkpoint.state)
    divergence = run.checkpoint.divergence
    tracker.log_artifact(run.run_id, STATE_ARTIFACT, run.checkpoint.state)
    if run.checkpoint.mistakes is not None:
        tracker.log_artifact(run.run_id, MISTAKES_ARTIFACT, run.checkpoint.mistakes.model_dump_json().encode())
    tracker.set_tags(run.run_id, {Tag.STATE_HASH: state.hash()})
    outcome = Outcome.COMPLETED if run.trained else Outcome.PRUNED
    if divergence is not None:
        tracker.set_tags(run.run_id, {Tag.DIVERGENCE: divergence.model_dump_json()})
        outcome = Outcome.DIVERGED
    tracker.end_run(run.run_id, outcome)
    return state, outcome


def close_broken_run(tracker: Tracker, run_id: str, outcome: Outcome, error: BaseException) -> None:
    """End a run that an exception stopped, with the reason as a tag."""
    tracker.set_tags(run_id, {Tag.ERROR: without_password(f"{type(error).__name__}: {error}")[:500]})
    tracker.end_run(run_id, outcome)


def broken_outcome(error: BaseException) -> Outcome:
    """`killed` by an interrupt or exit, else `failed`."""
    return Outcome.KILLED if isinstance(error, KeyboardInterrupt | SystemExit) else Outcome.FAILED


def checkpoint_folder(run_id: str) -> Path:
    """Where a single run's checkpoints are while it has not ended."""
    return work_folder("runs", run_id)


def _splits(config: RunConfig) -> tuple[EvaluationSplit, ...]:
    return ("validation", "test") if config.dataset.validation_size else ("test",)


def run_name(config: RunConfig, optimizer: str, which: str) -> str:
    """For a person who looks for a run among many. `optimizer` is what its sweep calls it."""
    rate = learning_rate(config.optimizer)
    return f"{optimizer}{f' {rate[0]}={rate[1]:.2g}' if rate else ''} bs={config.batch_size} {which}"
