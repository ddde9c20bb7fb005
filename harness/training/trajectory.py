"""What a run records within its epochs: the results of its steps, and the rows of metrics that are made of them."""

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
    """What each step of an epoch gave until now: loss (nats), float32 (steps,), and images right, int64 (steps,)."""

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
    """Return the steps of such a file."""
    with np.load(io.BytesIO(content)) as kept:
        return Steps(kept["losses"], kept["correct"])


def window_rows(config: RunConfig, epoch: int, steps: Steps) -> Iterator[MetricRow]:
    """Yield the training loss and accuracy of each window of an epoch, from 1, that has ended: means over its images.

    A window with a loss that is not finite is left out.
    """
    in_epoch, begin = (epoch - 1) * steps_per_epoch(config), 0
    for end in window_ends(config):
        if end > len(steps.losses):
            return
        before, last, seen = (images_at(config, in_epoch + step) for step in (begin, end - 1, end))
        sizes = np.full(end - begin, config.batch_size)
        sizes[-1] = seen - last  # only an epoch's last batch may be a smaller one
        loss = float(steps.losses[begin:end].astype(np.float64) @ sizes) / (seen - before)
        accuracy = int(steps.correct[begin:end].sum()) / (seen - before)
        begin = end
        if np.isfinite(loss):
            yield MetricRow(WINDOW_LOSS, loss, seen)
            yield MetricRow(WINDOW_ACCURACY, accuracy, seen)


def point_rows(points: Sequence[TrajectoryPoint]) -> Iterator[MetricRow]:
    """Yield the validation loss, where it is finite, and accuracy of each point."""
    for point in points:
        if point.validation_loss is not None:
            yield MetricRow(POINT_LOSS, point.validation_loss, point.images)
        yield MetricRow(POINT_ACCURACY, point.validation_accuracy, point.images)
