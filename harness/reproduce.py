"""Rerun a tracked run from its record in MLflow alone, and compare every epoch and the final state."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isclose
from pathlib import Path

from harness.changes import Change, code_changes, environment_changes
from harness.config import (
    FrozenModel,
    RunConfig,
    parse_config,
    step_after,
    steps_per_epoch,
    with_settings,
)
from harness.errors import BadInputError, HarnessError, WorkFailedError, described
from harness.provenance.origin import require_same_data
from harness.records import (
    CONFIG_ARTIFACT,
    METRIC_NAMES,
    POINT_ACCURACY,
    POINT_LOSS,
    Divergence,
    EpochMetrics,
    Stage,
    Tag,
    TrajectoryPoint,
)
from harness.slices import OnStep, train_slice
from harness.tracking.read import read_artifact, read_tracked_run
from harness.tracking.tracker import TrackedRun
from harness.training.devices import resolve_device
from harness.training.loop import EvaluationSplit, initial_state
from harness.training.state import RunState

DURATIONS = ("train_seconds", "evaluate_seconds", "images_per_second")
MEASURES = tuple(name for name in METRIC_NAMES if name not in DURATIONS)
# twice the spread of the chapter's published results across torch versions and machines
ACCURACY_TOLERANCE = 0.005
LOSS_TOLERANCE = 0.25


class MetricComparison(FrozenModel):
    """Hold one metric of one epoch, recorded and reproduced.

    `epoch` is a fraction, such as 0.125, for a point within an epoch. `agrees` means bit-identical, or within the
    tolerance if the environment differs.
    """

    epoch: int | float
    metric: str
    recorded: float | None
    reproduced: float | None
    agrees: bool


class Reproduction(FrozenModel):
    """Hold the result of rerunning a run.

    `environment` has the changes that can alter the last bits. Where there are any, metrics are compared within a
    tolerance, and the hash of the state is not compared. `code` has the changes of the source. `ending` is a
    difference in the divergence or the final state; None if there is none. `has_final_state` says whether the run
    recorded a final state: one that failed or was killed did not.
    """

    run_id: str
    environment: tuple[Change, ...]
    code: tuple[Change, ...]
    comparisons: tuple[MetricComparison, ...]
    ending: Change | None
    has_final_state: bool = True

    @property
    def first_difference(self) -> str | None:
        """Return the first epoch and metric that disagree, or else a different ending; None if all agree."""
        for each in self.comparisons:
            if not each.agrees:
                return f"epoch {each.epoch}, {each.metric}: recorded {each.recorded!r}, now {each.reproduced!r}"
        return f"{self.ending.what}: recorded {self.ending.then}, now {self.ending.now}" if self.ending else None


def reproduce(
    run_id: str,
    data_dir: Path | None = None,
    on_epoch: Callable[[EpochMetrics], None] = lambda _: None,
    on_step: OnStep | None = None,
) -> Reproduction:
    """Rerun a tracked run, trial or final up to its last recorded step, and compare.

    Raises:
        BadInputError: there is no such run, it has no whole epoch, it is a sweep, or the data have changed.
        WorkFailedError: the training failed, most often in the user's own code; its cause is the original exception.
    """
    recorded = read_tracked_run(run_id)
    if recorded.tags.get(Tag.STAGE) == Stage.SWEEP:
        raise BadInputError(
            "run", run_id, "is a sweep", expected="a run, trial or final", next_step="choose one of its children"
        )
    its_config = recorded_config(run_id)
    config = with_settings(its_config, {"device": _device_here(its_config.device)})
    require_same_data(config, recorded.tags.get(Tag.DATA_DIGEST), data_dir)
    last = _last_step(recorded, config)
    if last == 0:
        raise BadInputError(
            "run", run_id, "has no whole epoch", expected="a run with at least one", next_step="choose another run"
        )

    changed = environment_changes(run_id, its_config, config)
    code = code_changes(recorded, config)
    again = _Again()
    try:
        _train_again(again, config, last, _splits(recorded), data_dir, on_epoch, on_step)
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(run_id, len(again.epochs) + 1, error, code) from error
    return Reproduction(
        run_id=run_id,
        environment=changed,
        code=code,
        comparisons=(
            *_compare(recorded, again.epochs, exact=not changed),
            *_compare_points(recorded, again, config, exact=not changed),
        ),
        ending=None if changed else _compare_ending(recorded, again, config),
        has_final_state=Tag.STATE_HASH in recorded.tags,
    )


def _failed(run_id: str, epoch: int, error: BaseException, code: tuple[Change, ...]) -> WorkFailedError:
    since = f" (changed since the run: {', '.join(each.what for each in code)})" if code else ""
    what = f"reproduction failed in epoch {epoch}, {described(error)}"
    mend = f"correct the cause, most often in your own code{since}, and run the same command again"
    return WorkFailedError(run_id, f"{what}; {mend}")


def recorded_config(run_id: str) -> RunConfig:
    """Return the config of a tracked run.

    Raises:
        BadInputError: there is no such run, or it has no config, as a sweep.
    """
    return parse_config(json.loads(read_artifact(run_id, CONFIG_ARTIFACT)))


def _device_here(name: str) -> str:
    """Return the device of that name, or the best device of this machine if it is missing."""
    try:
        return resolve_device(name)
    except BadInputError:
        return resolve_device("auto")


def _last_step(recorded: TrackedRun, config: RunConfig) -> int:
    """Return how many steps to train: the recorded number, or if it is missing, the last step with a metric."""
    if images := recorded.tags.get(Tag.IMAGES):
        return step_after(config, int(images))
    epochs = max(recorded.history.get(METRIC_NAMES["train_loss"], {}), default=0)
    measured = step_after(config, max(recorded.history.get(POINT_ACCURACY, {}), default=0))
    return max((epochs + (Tag.DIVERGENCE in recorded.tags)) * steps_per_epoch(config), measured)


def _train_again(
    again: "_Again",
    config: RunConfig,
    last: int,
    splits: tuple[EvaluationSplit, ...],
    data_dir: Path | None,
    on_epoch: Callable[[EpochMetrics], None],
    on_step: OnStep | None,
) -> None:
    while again.divergence is None and (done := len(again.epochs) * steps_per_epoch(config) + again.step) < last:
        result = train_slice(config, again.state, splits, data_dir, steps=last - done, on_step=on_step)
        again.state, again.step, again.divergence = result.state, result.step, result.divergence
        again.points += result.points
        if result.metrics:
            on_epoch(result.metrics)
            again.epochs += (result.metrics,)
            again.last_whole = result.state


@dataclass
class _Again:
    """Hold the rerun so far: its metrics, its present state, and its state after the last whole epoch."""

    state: bytes | None = None
    last_whole: bytes | None = None
    step: int = 0
    epochs: tuple[EpochMetrics, ...] = ()
    points: tuple[TrajectoryPoint, ...] = ()
    divergence: Divergence | None = None


def _splits(recorded: TrackedRun) -> tuple[EvaluationSplit, ...]:
    """Return the splits that the run was evaluated on; none if it diverged before the first evaluation."""
    shown = {"validation": (METRIC_NAMES["validation_loss"], POINT_ACCURACY), "test": (METRIC_NAMES["test_loss"],)}
    names: tuple[EvaluationSplit, ...] = ("validation", "test")
    return tuple(name for name in names if any(metric in recorded.history for metric in shown[name]))


def _compare(recorded: TrackedRun, again: tuple[EpochMetrics, ...], exact: bool) -> tuple[MetricComparison, ...]:
    """Compare each metric of each epoch, beginning with the first epoch that recorded the metric.

    A run that is older than a metric did not record it, or recorded it only after a later version resumed the run.
    """
    now = {each.epoch: each for each in again}
    epochs = max(recorded.history.get(METRIC_NAMES["train_loss"], {}), default=0)

    def compare(epoch: int, metric: str) -> MetricComparison | None:
        history = recorded.history.get(METRIC_NAMES[metric], {})
        value = getattr(now[epoch], metric) if epoch in now else None
        if epoch < min(history, default=epochs + 1) or (epoch not in history and value is None):
            return None
        return _comparison(epoch, METRIC_NAMES[metric], history.get(epoch), value, exact)

    pairs = (compare(epoch, metric) for epoch in range(1, epochs + 1) for metric in MEASURES)
    return tuple(pair for pair in pairs if pair is not None)


def _compare_points(
    recorded: TrackedRun, again: _Again, config: RunConfig, exact: bool
) -> Iterator[MetricComparison]:
    """Compare the points of the epoch in which the run ended; the comparison of metrics covers whole epochs alone."""
    size = config.dataset.train_size
    first = len(again.epochs) * size
    for metric, field in ((POINT_LOSS, "validation_loss"), (POINT_ACCURACY, "validation_accuracy")):
        then = {images: value for images, value in recorded.history.get(metric, {}).items() if images > first}
        now = {point.images: getattr(point, field) for point in again.points if point.images > first}
        for images in sorted(then.keys() | now.keys()) if then else ():
            yield _comparison(round(images / size, 4), metric, then.get(images), now.get(images), exact)


def _comparison(epoch: float, metric: str, then: float | None, now: float | None, exact: bool) -> MetricComparison:
    agrees = then == now if exact or then is None or now is None else _is_near(metric, then, now)
    return MetricComparison(epoch=epoch, metric=metric, recorded=then, reproduced=now, agrees=agrees)


def _is_near(metric: str, then: float, now: float) -> bool:
    if metric.endswith("accuracy"):
        return abs(then - now) <= ACCURACY_TOLERANCE
    return isclose(then, now, rel_tol=LOSS_TOLERANCE)


def _compare_ending(recorded: TrackedRun, again: _Again, config: RunConfig) -> Change | None:
    """Return the difference in the divergence or in the hash of the final state; None if both agree."""
    divergence = recorded.tags.get(Tag.DIVERGENCE)
    known_then = set(json.loads(divergence)) if divergence else None  # later versions may have more fields
    now = None if again.divergence is None else again.divergence.model_dump_json(include=known_then)
    if divergence != now:
        return Change(what="divergence", then=divergence, now=now)
    expected = recorded.tags.get(Tag.STATE_HASH)
    # when a run of an older version diverged, it kept the state of its last whole epoch
    state = again.last_whole if again.divergence and Tag.IMAGES not in recorded.tags else again.state
    actual = (RunState.from_bytes(state) if state else initial_state(config)).hash()
    return Change(what="state hash", then=expected, now=actual) if expected and expected != actual else None
