"""Store the results of a run's steps, and turn them and the points within epochs into rows of metrics."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.config import RunConfig, images_at, steps_per_epoch, window_ends
from harness.records import (
    POINT_ACCURACY,
    POINT_LOSS,
    WINDOW_ACCURACY,
    WINDOW_LOSS,
    MetricRow,
    TrajectoryPoint,
)


@dataclass(frozen=True)
class Steps:
    """Hold an epoch's steps so far: mean losses (nats), float32 (steps,), and correct images, int64 (steps,)."""

    losses: npt.NDArray[np.float32]
    correct: npt.NDArray[np.int64]


def steps_to_bytes(epochs: Sequence[Steps]) -> bytes:
    """Return the steps of all these epochs, one after the other, as a file for `numpy.load`."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        losses=np.concatenate([each.losses for each in epochs]),
        correct=np.concatenate([each.correct for each in epochs]),
    )
    return buffer.getvalue()


def steps_from_bytes(content: bytes) -> Steps:
    """Return the steps of a file that `steps_to_bytes` wrote."""
    with np.load(io.BytesIO(content)) as kept:
        return Steps(kept["losses"], kept["correct"])


def window_rows(config: RunConfig, epoch: int, steps: Steps) -> Iterator[MetricRow]:
    """Yield the training loss and accuracy of each complete window of an epoch, as means over its images.

    `epoch` counts from 1. A window whose loss is not finite is left out.
    """
    in_epoch, begin = (epoch - 1) * steps_per_epoch(config), 0
    for end in window_ends(config):
        if end > len(steps.losses):
            return
        before, last, seen = (images_at(config, in_epoch + step) for step in (begin, end - 1, end))
        sizes = np.full(end - begin, config.batch_size)
        sizes[-1] = seen - last  # only an epoch's last batch may be smaller
        loss = float(steps.losses[begin:end].astype(np.float64) @ sizes) / (seen - before)
        accuracy = int(steps.correct[begin:end].sum()) / (seen - before)
        begin = end
        if np.isfinite(loss):
            yield MetricRow(WINDOW_LOSS, loss, seen)
            yield MetricRow(WINDOW_ACCURACY, accuracy, seen)


def point_rows(points: Sequence[TrajectoryPoint]) -> Iterator[MetricRow]:
    """Yield the validation accuracy of each point, and its validation loss if it is finite."""
    for point in points:
        if point.validation_loss is not None:
            yield MetricRow(POINT_LOSS, point.validation_loss, point.images)
        yield MetricRow(POINT_ACCURACY, point.validation_accuracy, point.images)
