"""Measure how far a run was trained, what it spent, and its latest accuracy, also within an epoch."""

from harness.records import POINT_ACCURACY, Outcome, Tag, epochs_begun
from harness.tracking.tracker import TrackedRun


def epoch_images(run: TrackedRun) -> int:
    """Return the training images in an epoch of the run; 0 if it has no params."""
    return int(run.params.get("dataset.train_size", 0))


def epochs_trained(run: TrackedRun, whole: int) -> float:
    """Return how many epochs a run has trained, with fractions; `whole` is the number of its whole epochs."""
    size = epoch_images(run)
    if not size:
        return whole
    images = int(run.tags.get(Tag.IMAGES, max(run.history.get(POINT_ACCURACY, {}), default=0)))
    return max(whole, images / size)


def epochs_spent(run: TrackedRun, whole: int) -> float:
    """Return the epochs that a trial counts against its study's budget: more than it trained if it broke off."""
    size = epoch_images(run)
    if size and Tag.SPENT in run.tags:
        return int(run.tags[Tag.SPENT]) / size
    outcome = run.tags.get(Tag.OUTCOME)
    broke_off = outcome in (Outcome.DIVERGED, Outcome.FAILED)
    return epochs_begun(whole, outcome) if broke_off else epochs_trained(run, whole)


def last_accuracy(run: TrackedRun, epoch: float | None, accuracy: float | None) -> float | None:
    """Return the latest validation accuracy: that of the last epoch, or of a point measured after it."""
    points = run.history.get(POINT_ACCURACY, {})
    last = max(points, default=0)
    return points[last] if last > (epoch or 0) * epoch_images(run) else accuracy
