"""Collect the measurements of each run by epochs trained, within epochs if those were recorded."""

from collections.abc import Sequence

import pandas as pd

from harness.records import POINT_ACCURACY, POINT_LOSS, WINDOW_LOSS, Outcome, Tag
from harness.tracking.tracker import TrackedRun
from reports.tables import outcome_of
from reports.trajectories import epoch_images

COLUMNS = ["run_id", "optimizer", "stage", "outcome", "epochs", "loss", "accuracy"]


def courses_frame(runs: Sequence[TrackedRun], epochs: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return one row per run and point at which the run was measured.

    Columns: run_id, optimizer, stage, outcome, epochs (trained so far, with fractions), loss (nats), accuracy
    (fraction). If a run was measured within its epochs, all its points are on the part of the validation set used
    there; otherwise they are on the whole `split` at the ends of epochs.
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


def convergence_frame(runs: Sequence[TrackedRun], courses: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Return how finals converge: one row per final, measure and point, without failed and diverged finals.

    Columns: run_id, optimizer, seed, epochs (trained so far, with fractions), measure, value. The measure "training
    loss" is in nats: the mean over a window of steps, or over an epoch if no windows were recorded. The measure
    "error" is in percent, from `courses`.
    """
    finals = {run.run_id: run for run in runs if outcome_of(run) not in (Outcome.DIVERGED, Outcome.FAILED)}
    whole = epochs[epochs["run_id"].isin([key for key, run in finals.items() if not run.history.get(WINDOW_LOSS)])]
    losses = pd.DataFrame(
        [
            (run_id, images / epoch_images(run), loss)
            for run_id, run in finals.items()
            for images, loss in sorted(run.history.get(WINDOW_LOSS, {}).items())
        ],
        columns=["run_id", "epochs", "value"],
    )
    at_ends = whole.rename(columns={"epoch": "epochs", "train_loss": "value"})[["run_id", "epochs", "value"]]
    errors = courses[courses["run_id"].isin(finals)].assign(value=100 * (1 - courses["accuracy"]))
    parts = {"training loss": pd.concat([each for each in (losses, at_ends) if len(each)] or [losses])}
    parts["error"] = errors[["run_id", "epochs", "value"]]
    data = pd.concat([part.assign(measure=name) for name, part in parts.items()], ignore_index=True)
    data = data.dropna(subset="value").astype({"epochs": float, "value": float})
    data["optimizer"] = data["run_id"].map({key: run.tags.get(Tag.OPTIMIZER, "") for key, run in finals.items()})
    data["seed"] = data["run_id"].map({key: run.tags.get(Tag.SEED, "") for key, run in finals.items()})
    return data[data["epochs"] > 0].reset_index(drop=True)
