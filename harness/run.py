"""A tracked run from its beginning to its end: opened, advanced slice by slice, recorded, closed."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.checkpoint import Checkpoint, discard, load_latest, save
from harness.config import DatasetConfig, RunConfig, canonical_json, config_hash, flatten
from harness.data import Splits, load_splits
from harness.records import (
    CONFIG_ARTIFACT,
    DIFF_ARTIFACT,
    ENVIRONMENT_ARTIFACT,
    STATE_ARTIFACT,
    Divergence,
    EpochMetrics,
    Outcome,
    RunRecord,
    Stage,
    Tag,
)
from harness.reproducibility import environment, git_commit_and_diff
from harness.state import RunState
from harness.tracking import WORK_FOLDER, Tracker, json_bytes
from harness.training import EvaluationSplit, advance, initial_state

SliceResult = tuple[bytes, tuple[EpochMetrics, ...], Divergence | None]


@dataclass
class OpenRun:
    """A tracked run that has not ended, and how far it is."""

    run_id: str
    config: RunConfig
    splits: tuple[EvaluationSplit, ...]
    checkpoint: Checkpoint

    @property
    def trained(self) -> bool:
        """Whether nothing is left to train."""
        return self.checkpoint.divergence is not None or len(self.checkpoint.epochs) >= self.config.epochs


def track_run(
    config: RunConfig,
    tracker: Tracker,
    experiment: str,
    data_dir: Path | None = None,
    on_epoch: Callable[[EpochMetrics], None] = lambda _: None,
) -> RunRecord:
    """Train `config` to its end, each epoch tracked as it ends.

    The test set is measured every epoch, as the chapter does; so is the validation set where there is one.
    An exception ends the run as `failed`, an interrupt as `killed`, and is raised again.
    """
    splits: tuple[EvaluationSplit, ...] = ("validation", "test") if config.dataset.validation_size else ("test",)
    digest = load_cached_splits(config.dataset, config.device, data_dir).digest
    run = open_run(config, tracker, experiment, _name(config), {Tag.STAGE: Stage.RUN}, splits, digest)
    try:
        while not run.trained:
            result = train_slice(config, run.checkpoint.state, splits, data_dir)
            for metrics in record_slice(tracker, run, result):
                on_epoch(metrics)
        state, outcome = close_run(tracker, run)
    except BaseException as error:
        close_broken_run(tracker, run.run_id, broken_outcome(error), error)
        raise
    discard(checkpoint_folder(run.run_id))
    return RunRecord(
        run_id=run.run_id,
        config=config,
        config_hash=config_hash(config),
        state_hash=state.hash(),
        outcome=outcome,
        divergence=run.checkpoint.divergence,
        epochs=run.checkpoint.epochs,
    )


def train_slice(
    config: RunConfig, state: bytes | None, splits: tuple[EvaluationSplit, ...], data_dir: Path | None
) -> SliceResult:
    """One more epoch of `config` from `state` (None: from the beginning), in this or any other process."""
    before = initial_state(config) if state is None else RunState.from_bytes(state)
    after = advance(config, before, load_cached_splits(config.dataset, config.device, data_dir), 1, splits)
    return after.state.to_bytes(), after.metrics, after.divergence


@functools.lru_cache(maxsize=1)
def load_cached_splits(dataset: DatasetConfig, device: str, data_dir: Path | None) -> Splits:
    """`load_splits`, once per process for the slices of one dataset."""
    return load_splits(dataset, device, data_dir)


def open_run(
    config: RunConfig,
    tracker: Tracker,
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    splits: tuple[EvaluationSplit, ...],
    data_digest: str,
    run_id: str | None = None,
) -> OpenRun:
    """Start a run with its params, provenance tags, resolved config and environment; or go on with `run_id`."""
    logged = 0
    if run_id is None:
        tags = dict(tags) | _config_tags(config, data_digest) | provenance_tags()
        run_id = tracker.start_run(experiment, name, flatten(config), tags)
    else:
        logged = tracker.reopen_run(run_id, flatten(config))
    tracker.log_artifact(run_id, CONFIG_ARTIFACT, canonical_json(config).encode())
    log_provenance(tracker, run_id)
    checkpoint = load_latest(checkpoint_folder(run_id))
    for metrics in checkpoint.epochs[logged:]:
        tracker.log_metrics(run_id, metrics.as_metrics(), metrics.epoch)
    return OpenRun(run_id, config, splits, checkpoint)


def record_slice(tracker: Tracker, run: OpenRun, result: SliceResult) -> tuple[EpochMetrics, ...]:
    """Keep a slice's state, then track its metrics; in this order a crash between the two loses neither."""
    state, metrics, divergence = result
    run.checkpoint = replace(
        run.checkpoint, state=state, epochs=run.checkpoint.epochs + metrics, divergence=divergence
    )
    save(checkpoint_folder(run.run_id), run.checkpoint)
    for each in metrics:
        tracker.log_metrics(run.run_id, each.as_metrics(), each.epoch)
    return metrics


def close_run(tracker: Tracker, run: OpenRun) -> tuple[RunState, Outcome]:
    """Store the final state and end the run as completed or diverged."""
    assert run.checkpoint.state is not None, "a run is closed after its last slice"
    state = RunState.from_bytes(run.checkpoint.state)
    divergence = run.checkpoint.divergence
    tracker.log_artifact(run.run_id, STATE_ARTIFACT, run.checkpoint.state)
    tracker.set_tags(run.run_id, {Tag.STATE_HASH: state.hash()})
    if divergence is not None:
        tracker.set_tags(run.run_id, {Tag.DIVERGENCE: divergence.model_dump_json()})
    outcome = Outcome.COMPLETED if divergence is None else Outcome.DIVERGED
    tracker.end_run(run.run_id, outcome)
    return state, outcome


def close_broken_run(tracker: Tracker, run_id: str, outcome: Outcome, error: BaseException) -> None:
    """End a run that an exception stopped, with the reason as a tag."""
    tracker.set_tags(run_id, {Tag.ERROR: f"{type(error).__name__}: {error}"[:500]})
    tracker.end_run(run_id, outcome)


def broken_outcome(error: BaseException) -> Outcome:
    """`killed` by an interrupt or exit, else `failed`."""
    return Outcome.KILLED if isinstance(error, KeyboardInterrupt | SystemExit) else Outcome.FAILED


def checkpoint_folder(run_id: str) -> Path:
    """Where a run's checkpoints are while it has not ended."""
    return WORK_FOLDER / "runs" / run_id


def provenance_tags() -> dict[str, str]:
    """Who ran it, the torch build, the commit and whether the working folder differs from it."""
    commit, diff = git_commit_and_diff()
    tags = {Tag.TORCH: str(environment()["torch"]), Tag.SOURCE: "harness", Tag.USER: str(environment()["user"])}
    return tags if commit is None else tags | {Tag.GIT_COMMIT: commit, Tag.GIT_DIRTY: str(bool(diff)).lower()}


def log_provenance(tracker: Tracker, run_id: str) -> None:
    """Store the environment, and the uncommitted changes where there are any."""
    tracker.log_artifact(run_id, ENVIRONMENT_ARTIFACT, json_bytes(environment()))
    _, diff = git_commit_and_diff()
    if diff:
        tracker.log_artifact(run_id, DIFF_ARTIFACT, diff.encode())


def _config_tags(config: RunConfig, data_digest: str) -> dict[str, str]:
    """What identifies a run's numbers, as tags, because the UI's filters don't reach through parents."""
    return {
        Tag.CONFIG_HASH: config_hash(config),
        Tag.OPTIMIZER: config.optimizer.name,
        Tag.SEED: str(config.seed),
        Tag.DATA_DIGEST: data_digest,
        Tag.DEVICE: config.device,
        Tag.THREADS: str(config.threads),
    }


def _name(config: RunConfig) -> str:
    return f"{config.optimizer.name} lr={config.optimizer.lr:.2g} bs={config.batch_size} seed {config.seed}"
