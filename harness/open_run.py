"""Open a tracked run, record its slices, and close it with its outcome."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.config import (
    RunConfig,
    canonical_json,
    flatten,
    images_at,
    learning_rate,
    steps_per_epoch,
)
from harness.confusion import draw_confusion
from harness.errors import without_password
from harness.paths import work_folder
from harness.provenance.origin import Origin, source_tags
from harness.provenance.record import config_tags, log_provenance, provenance_tags
from harness.records import (
    CONFIG_ARTIFACT,
    CONFUSION_ARTIFACT,
    METRIC_NAMES,
    MISTAKES_ARTIFACT,
    STATE_ARTIFACT,
    STEPS_ARTIFACT,
    TRAJECTORY,
    USES,
    WINDOW_LOSS,
    DatasetUse,
    MetricRow,
    Outcome,
    Tag,
)
from harness.slices import SliceResult
from harness.tracking.tracker import Tracker
from harness.training.checkpoint import Checkpoint, load_latest, load_steps, save, save_steps
from harness.training.data import dataset_inputs
from harness.training.images import Splits
from harness.training.loop import EvaluationSplit
from harness.training.state import RunState
from harness.training.trajectory import Steps, point_rows, steps_to_bytes, window_rows


@dataclass
class OpenRun:
    """A tracked run that has not ended, with its progress.

    `folder` has the run's checkpoints. `logged` is the last epoch that is in the tracker; `tracked` is the last step
    in the tracker of each trajectory metric. `origin` is the data and source that each slice must find where it
    executes.
    """

    run_id: str
    config: RunConfig
    splits: tuple[EvaluationSplit, ...]
    folder: Path
    checkpoint: Checkpoint
    logged: int
    tracked: dict[str, int]
    origin: Origin | None = None

    @property
    def trained(self) -> bool:
        """Return whether training has ended: all epochs are trained, or the run diverged."""
        return self.checkpoint.divergence is not None or len(self.checkpoint.epochs) >= self.config.epochs

    @property
    def step(self) -> int:
        """Return the number of steps that were trained."""
        return len(self.checkpoint.epochs) * steps_per_epoch(self.config) + self.checkpoint.step

    @property
    def images(self) -> int:
        """Return the number of images that were trained on, including the images of a step that diverged."""
        diverged = self.checkpoint.divergence
        within = diverged is not None and self.checkpoint.step < steps_per_epoch(self.config)
        return images_at(self.config, self.step + within)


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
    """Start a run, or resume the run `run_id`; record its params, tags, data, config, environment and source.

    `folder` is for the checkpoints; by default, it is named after the run's id.
    """
    logged, tracked = 0, {}
    source = origin.source.of(config)
    if run_id is None:
        tags = config_tags(config, data.digest) | source_tags(source) | provenance_tags() | dict(tags)
        run_id = tracker.start_run(experiment, name, flatten(config), tags)
    else:
        tracker.reopen_run(run_id, flatten(config))
        logged = tracker.last_step(run_id, METRIC_NAMES["train_loss"])
        tracked = {name: tracker.last_step(run_id, name) for name in TRAJECTORY}
    uses: list[DatasetUse] = ["training", *(USES[split] for split in splits)]
    tracker.log_inputs(run_id, dataset_inputs(config.dataset, data, uses))
    tracker.log_artifact(run_id, CONFIG_ARTIFACT, canonical_json(config).encode())
    log_provenance(tracker, run_id, source)
    folder = folder or checkpoint_folder(run_id)
    run = OpenRun(run_id, config, splits, folder, load_latest(folder), logged, tracked, origin)
    _track(tracker, run, _kept_windows(run))
    return run


def _kept_windows(run: OpenRun) -> Iterator[MetricRow]:
    """Yield the windows of the checkpoints, from the first epoch on that may lack windows in the tracker."""
    first = run.tracked.get(WINDOW_LOSS, 0) // run.config.dataset.train_size + 1
    for epoch in range(first, len(run.checkpoint.epochs) + 1):
        if steps := load_steps(run.folder, epoch):
            yield from window_rows(run.config, epoch, steps)
    if run.checkpoint.state is not None and run.checkpoint.step:  # the state is within an epoch
        for steps in _steps_begun(RunState.from_bytes(run.checkpoint.state)):
            yield from window_rows(run.config, len(run.checkpoint.epochs) + 1, steps)


def record_slice(tracker: Tracker, run: OpenRun, result: SliceResult) -> None:
    """Save the state of a slice, then track its metrics; in this order, a crash between the two loses nothing."""
    before, epoch = run.checkpoint, len(run.checkpoint.epochs) + 1
    run.checkpoint = Checkpoint(
        state=result.state,
        epochs=before.epochs + ((result.metrics,) if result.metrics else ()),
        step=result.step,
        points=before.points + result.points,
        divergence=result.divergence,
        mistakes=result.mistakes,
    )
    if result.metrics:
        save_steps(run.folder, epoch, result.steps)
    if run.trained or result.metrics is None or epoch % run.config.checkpoint_every == 0:
        save(run.folder, run.checkpoint)
    _track(tracker, run, window_rows(run.config, epoch, result.steps))


def _track(tracker: Tracker, run: OpenRun, windows: Iterable[MetricRow]) -> None:
    """Track the epochs, points and windows that are not tracked yet; training again after a crash repeats none.

    Each epoch is tracked with one call, and the points and windows with the first one, because a call costs MLflow
    far more than a value does.
    """
    rows = (*windows, *point_rows(run.checkpoint.points))
    rest = new = [row for row in rows if row.step > run.tracked.get(row.name, 0)]
    for metrics in run.checkpoint.epochs[run.logged :]:
        of_epoch = [MetricRow(name, value, metrics.epoch) for name, value in metrics.as_metrics().items()]
        tracker.log_rows(run.run_id, [*of_epoch, *rest])
        run.logged, rest = metrics.epoch, []
    if rest:
        tracker.log_rows(run.run_id, rest)
    run.tracked |= {row.name: row.step for row in new}


def _steps_of(run: OpenRun, state: RunState) -> list[Steps]:
    """Return the steps of the run's whole epochs, if they were kept, and of the epoch that the run ended in."""
    whole = [load_steps(run.folder, epoch) for epoch in range(1, len(run.checkpoint.epochs) + 1)]
    return [each for each in whole if each] + _steps_begun(state)


def _steps_begun(state: RunState) -> list[Steps]:
    """Return the steps of the unfinished epoch of the state; empty if the state is at the end of an epoch."""
    return [Steps(state.begun.losses.numpy(), state.begun.correct.numpy())] if state.begun else []


def close_run(tracker: Tracker, run: OpenRun) -> tuple[RunState, Outcome]:
    """Store the final state, and the mistakes on the test set if they were measured; end the run.

    Return the state and the outcome: completed or diverged, or pruned if epochs are missing.
    """
    assert run.checkpoint.state is not None, "a run is closed after its last slice"
    state = RunState.from_bytes(run.checkpoint.state)
    divergence = run.checkpoint.divergence
    tracker.log_artifact(run.run_id, STATE_ARTIFACT, run.checkpoint.state)
    if run.checkpoint.mistakes is not None:
        tracker.log_artifact(run.run_id, MISTAKES_ARTIFACT, run.checkpoint.mistakes.model_dump_json().encode())
        if picture := draw_confusion(run.checkpoint.mistakes):
            tracker.log_artifact(run.run_id, CONFUSION_ARTIFACT, picture)
    if steps := _steps_of(run, state):
        tracker.log_artifact(run.run_id, STEPS_ARTIFACT, steps_to_bytes(steps))
    tracker.set_tags(run.run_id, {Tag.STATE_HASH: state.hash(), Tag.IMAGES: str(run.images)})
    outcome = Outcome.COMPLETED if run.trained else Outcome.PRUNED
    if divergence is not None:
        tracker.set_tags(run.run_id, {Tag.DIVERGENCE: divergence.model_dump_json()})
        outcome = Outcome.DIVERGED
    tracker.end_run(run.run_id, outcome)
    return state, outcome


def close_broken_run(tracker: Tracker, run_id: str, outcome: Outcome, error: BaseException) -> None:
    """End a run that an exception stopped, with the exception as a tag."""
    tracker.set_tags(run_id, {Tag.ERROR: without_password(f"{type(error).__name__}: {error}")[:500]})
    tracker.end_run(run_id, outcome)


def broken_outcome(error: BaseException) -> Outcome:
    """Return `killed` for an interrupt or exit, `failed` for any other exception."""
    return Outcome.KILLED if isinstance(error, KeyboardInterrupt | SystemExit) else Outcome.FAILED


def checkpoint_folder(run_id: str) -> Path:
    """Return the folder with the checkpoints of a single run, which are kept until the run has ended."""
    return work_folder("runs", run_id)


def run_name(config: RunConfig, optimizer: str, which: str) -> str:
    """Return a run's name in MLflow. It begins with `which`, because a narrow column cuts off the end of a name.

    `which` identifies the run among its optimizer's runs; `optimizer` is the optimizer's name in the sweep.
    """
    rate = learning_rate(config.optimizer)
    return f"{which} {optimizer}{f' {rate[0]}={rate[1]:.2g}' if rate else ''} bs={config.batch_size}"
