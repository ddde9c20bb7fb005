"""One tracked run: config + tracker -> RunRecord."""

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.config import RunConfig, canonical_json, config_hash, flatten
from harness.data import load_splits
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
from harness.tracking import Tracker, json_bytes
from harness.training import EvaluationSplit, advance, initial_state


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
    data = load_splits(config.dataset, config.device, data_dir)
    splits: list[EvaluationSplit] = ["test"] if config.dataset.validation_size == 0 else ["validation", "test"]
    run_id = open_run(config, tracker, experiment, _name(config), {Tag.STAGE: Stage.RUN}, data.digest)
    try:
        state = initial_state(config)
        epochs: list[EpochMetrics] = []
        divergence = None
        while state.epoch < config.epochs and divergence is None:
            step = advance(config, state, data, 1, splits)
            state, divergence = step.state, step.divergence
            for metrics in step.metrics:
                tracker.log_epoch(run_id, metrics)
                on_epoch(metrics)
                epochs.append(metrics)
        outcome = close_run(tracker, run_id, state, divergence)
    except BaseException as error:
        close_broken_run(tracker, run_id, error)
        raise
    return RunRecord(
        run_id=run_id,
        config=config,
        config_hash=config_hash(config),
        state_hash=state.hash(),
        outcome=outcome,
        divergence=divergence,
        epochs=tuple(epochs),
    )


def open_run(
    config: RunConfig,
    tracker: Tracker,
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    data_digest: str,
) -> str:
    """Start a run with its params, its provenance tags, its resolved config and its environment."""
    run_id = tracker.start_run(
        experiment, name, flatten(config), dict(tags) | config_tags(config, data_digest) | git_tags()
    )
    tracker.log_artifact(run_id, CONFIG_ARTIFACT, canonical_json(config).encode())
    log_provenance(tracker, run_id)
    return run_id


def config_tags(config: RunConfig, data_digest: str) -> dict[str, str]:
    """What identifies a run's numbers, as tags, because the UI's filters don't reach through parents."""
    return {
        Tag.CONFIG_HASH: config_hash(config),
        Tag.OPTIMIZER: config.optimizer.name,
        Tag.SEED: str(config.seed),
        Tag.DATA_DIGEST: data_digest,
        Tag.TORCH: str(environment()["torch"]),
        Tag.DEVICE: config.device,
        Tag.THREADS: str(config.threads),
    }


def git_tags() -> dict[str, str]:
    """The commit and whether the working folder differs from it; nothing outside a repository."""
    commit, diff = git_commit_and_diff()
    return {} if commit is None else {Tag.GIT_COMMIT: commit, Tag.GIT_DIRTY: str(bool(diff)).lower()}


def log_provenance(tracker: Tracker, run_id: str) -> None:
    """Store the environment, and the uncommitted changes where there are any."""
    tracker.log_artifact(run_id, ENVIRONMENT_ARTIFACT, json_bytes(environment()))
    _, diff = git_commit_and_diff()
    if diff:
        tracker.log_artifact(run_id, DIFF_ARTIFACT, diff.encode())


def close_run(tracker: Tracker, run_id: str, state: RunState, divergence: Divergence | None) -> Outcome:
    """Store the final state and end the run as completed or diverged."""
    tracker.log_artifact(run_id, STATE_ARTIFACT, state.to_bytes())
    tracker.set_tags(run_id, {Tag.STATE_HASH: state.hash()})
    if divergence is not None:
        tracker.set_tags(run_id, {Tag.DIVERGENCE: divergence.model_dump_json()})
    outcome = Outcome.COMPLETED if divergence is None else Outcome.DIVERGED
    tracker.end_run(run_id, outcome)
    return outcome


def close_broken_run(tracker: Tracker, run_id: str, error: BaseException) -> None:
    """End a run that an exception stopped: killed by an interrupt, else failed, with the reason as a tag."""
    interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
    tracker.set_tags(run_id, {Tag.ERROR: f"{type(error).__name__}: {error}"[:500]})
    tracker.end_run(run_id, Outcome.KILLED if interrupted else Outcome.FAILED)


def _name(config: RunConfig) -> str:
    return f"{config.optimizer.name} lr={config.optimizer.lr:g} bs={config.batch_size} seed={config.seed}"
