"""The course of each run: what was measured after how many epochs, within them where that was recorded."""

from collections.abc import Sequence

import pandas as pd

from harness.records import POINT_ACCURACY, POINT_LOSS, Outcome, Tag, epochs_begun
from harness.tracking.tracker import TrackedRun

COLUMNS = ["run_id", "optimizer", "stage", "outcome", "epochs", "loss", "accuracy"]


def epoch_images(run: TrackedRun) -> int:
    """Return the training images of an epoch of the run; 0 where it has no params."""
    return int(run.params.get("dataset.train_size", 0))


def epochs_trained(run: TrackedRun, whole: int) -> float:
    """Return how many epochs a run was trained, of which so many are whole; as far as one that runs shows it."""
    size = epoch_images(run)
    if not size:
        return whole
    images = int(run.tags.get(Tag.IMAGES, max(run.history.get(POINT_ACCURACY, {}), default=0)))
    return max(whole, images / size)


def epochs_spent(run: TrackedRun, whole: int) -> float:
    """Return the epochs of its study's budget that a trial has spent: more than it trained where it broke off."""
    size = epoch_images(run)
    if size and Tag.SPENT in run.tags:
        return int(run.tags[Tag.SPENT]) / size
    outcome = run.tags.get(Tag.OUTCOME)
    broke_off = outcome in (Outcome.DIVERGED, Outcome.FAILED)
    return epochs_begun(whole, outcome) if broke_off else epochs_trained(run, whole)


def last_accuracy(run: TrackedRun, epoch: float | None, accuracy: float | None) -> float | None:
    """Return the validation accuracy that was measured last: that of its last epoch, or of a point after it."""
    points = run.history.get(POINT_ACCURACY, {})
    last = max(points, default=0)
    return points[last] if last > (epoch or 0) * epoch_images(run) else accuracy


def courses_frame(runs: Sequence[TrackedRun], epochs: pd.DataFrame, split: str) -> pd.DataFrame:
    """One row per run and point at which it was measured.

    Columns: run_id, optimizer, stage, outcome, epochs (after so many, fractions too), loss (nats), accuracy (a
    fraction). Where runs were measured within their epochs, all points are of the part of the validation set that was
    measured there; else they are of `split` at the ends of epochs.
    """
    within = {run.run_id: run for run in runs if split == "validation" and run.history.get(POINT_ACCURACY)}
    known = epochs.drop_duplicates("run_id").set_index("run_id")
    at_ends = epochs[~epochs["run_id"].isin(within.keys())]
    whole = at_ends.assign(epochs=at_ends["epoch"].astype(float))
    whole = whole.assign(loss=at_ends[f"{split}_loss"], accuracy=at_ends[f"{split}_accuracy"])[COLUMNS]
    rows = [
        {
            "run_id": run_id,
            "optimizer": run.tags.get(Tag.OPTIMIZER, ""),
            "stage": run.tags.get(Tag.STAGE, ""),
            "outcome": known["outcome"].get(run_id, ""),
            "epochs": images / epoch_images(run),
            "loss": run.history.get(POINT_LOSS, {}).get(images),
            "accuracy": accuracy,
        }
        for run_id, run in within.items()
        for images, accuracy in sorted(run.history[POINT_ACCURACY].items())
    ]
    points = pd.DataFrame(rows, columns=COLUMNS).astype({"epochs": float, "loss": float, "accuracy": float})
    return pd.concat([each for each in (whole, points) if len(each)] or [points], ignore_index=True)
