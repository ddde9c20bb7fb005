"""The course of each run: what was measured after how many epochs, within them where that was recorded."""

from collections.abc import Sequence

import pandas as pd

from harness.records import POINT_ACCURACY, POINT_LOSS, Tag
from harness.tracking.tracker import TrackedRun
from reports.tables import outcome_of
from reports.trajectories import epoch_images

COLUMNS = ["run_id", "optimizer", "stage", "outcome", "epochs", "loss", "accuracy"]


def courses_frame(runs: Sequence[TrackedRun], epochs: pd.DataFrame, split: str) -> pd.DataFrame:
    """One row per run and point at which it was measured.

    Columns: run_id, optimizer, stage, outcome, epochs (after so many, fractions too), loss (nats), accuracy (a
    fraction). Where runs were measured within their epochs, all points are of the part of the validation set that was
    measured there; else they are of `split` at the ends of epochs.
    """
    within = {run.run_id: run for run in runs if split == "validation" and run.history.get(POINT_ACCURACY)}
    at_ends = epochs[~epochs["run_id"].isin(within.keys())]
    whole = at_ends.assign(epochs=at_ends["epoch"].astype(float))
    whole = whole.assign(loss=at_ends[f"{split}_loss"], accuracy=at_ends[f"{split}_accuracy"])[COLUMNS]
    rows = [
        {
            "run_id": run_id,
            "optimizer": run.tags.get(Tag.OPTIMIZER, ""),
            "stage": run.tags.get(Tag.STAGE, ""),
            "outcome": outcome_of(run),
            "epochs": images / epoch_images(run),
            "loss": run.history.get(POINT_LOSS, {}).get(images),
            "accuracy": accuracy,
        }
        for run_id, run in within.items()
        for images, accuracy in sorted(run.history[POINT_ACCURACY].items())
    ]
    points = pd.DataFrame(rows, columns=COLUMNS).astype({"epochs": float, "loss": float, "accuracy": float})
    return pd.concat([each for each in (whole, points) if len(each)] or [points], ignore_index=True)
