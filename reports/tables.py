"""Make tidy tables of a sweep from its MLflow runs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

import numpy as np
import pandas as pd

from harness.errors import brief
from harness.records import METRIC_NAMES, Divergence, Mistakes, Outcome, Stage, Tag
from harness.tracking.tracker import TrackedRun
from reports.trajectories import epochs_spent, epochs_trained, last_accuracy


def epochs_frame(runs: Sequence[TrackedRun]) -> pd.DataFrame:
    """Return one row per run and epoch.

    Columns: run_id, optimizer, stage, seed, outcome (of the run), epoch; the fields of EpochMetrics (losses in nats,
    accuracies as fractions, durations in seconds); trained_seconds (training time since the run began).
    """
    rows = []
    for run in runs:
        trained = 0.0
        for epoch in sorted(run.history.get(METRIC_NAMES["train_loss"], {})):
            values = {field: run.history.get(name, {}).get(epoch) for field, name in METRIC_NAMES.items()}
            trained += values["train_seconds"] or 0.0
            rows.append(
                identity(run) | {"outcome": outcome_of(run), "epoch": epoch} | values | {"trained_seconds": trained}
            )
    columns = [*IDENTITY, "outcome", "epoch", *METRIC_NAMES, "trained_seconds"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype(dict.fromkeys([*METRIC_NAMES, "trained_seconds"], "float64"))


def runs_frame(runs: Sequence[TrackedRun], epochs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run.

    Columns: run_id, optimizer, stage, seed, number (the trial's number in its study, or the final's seed), replicate
    (from 1), outcome, epochs (trained, with fractions), spent (epochs of its study's budget), test_accuracy and
    test_loss of the last epoch, the latest validation_accuracy (also within an epoch), selected_epoch (the one with
    the best validation accuracy, the first of equals), selected_test_accuracy and selected_test_loss there
    (accuracies as fractions, losses in nats), train_seconds (mean per epoch), cause (why the run failed or diverged,
    else empty), and one column per config key.
    """
    last = epochs.groupby("run_id").last()
    seconds = epochs.groupby("run_id")["train_seconds"].mean()
    count = epochs.groupby("run_id").size()
    measured = epochs.dropna(subset=["validation_accuracy"])
    best = measured.loc[measured.groupby("run_id")["validation_accuracy"].idxmax()].set_index("run_id")
    rows = [
        identity(run)
        | {
            "number": int(run.tags.get(Tag.NUMBER, 0)),
            "replicate": int(run.tags.get(Tag.REPLICATE, 1)),
            "outcome": outcome_of(run),
            "epochs": epochs_trained(run, int(count.get(run.run_id, 0))),
            "spent": epochs_spent(run, int(count.get(run.run_id, 0))),
            "validation_accuracy": last_accuracy(
                run, last["epoch"].get(run.run_id), last["validation_accuracy"].get(run.run_id)
            ),
            "test_accuracy": last["test_accuracy"].get(run.run_id),
            "test_loss": last["test_loss"].get(run.run_id),
            "selected_epoch": best["epoch"].get(run.run_id),
            "selected_test_accuracy": best["test_accuracy"].get(run.run_id),
            "selected_test_loss": best["test_loss"].get(run.run_id),
            "train_seconds": seconds.get(run.run_id),
            "cause": _cause(run),
        }
        | {f"config.{key}": value for key, value in run.params.items()}
        for run in runs
    ]
    frame = pd.DataFrame(rows, columns=None if rows else [*IDENTITY, *RUN_COLUMNS])
    return frame.sort_values(["stage", "number"], kind="stable", ignore_index=True)


def classes_frame(mistakes: Mapping[str, Sequence[Mistakes]]) -> pd.DataFrame:
    """Return one row per optimizer and class that has test images.

    Columns: optimizer, class, accuracy (fraction of that class's test images that the finals of all seeds got right).
    """
    rows = []
    for optimizer, of_seeds in mistakes.items():
        counts = np.sum([each.confusion for each in of_seeds], axis=0)
        for name, right, images in zip(of_seeds[0].class_names, np.diag(counts), counts.sum(axis=1), strict=True):
            if images:
                rows.append({"optimizer": optimizer, "class": name, "accuracy": float(right / images)})
    return pd.DataFrame(rows, columns=["optimizer", "class", "accuracy"])


def untested_classes(mistakes: Iterable[Mistakes]) -> tuple[str, ...]:
    """Return the classes that the models can predict and that have no test images."""
    names = {
        name: None
        for each in mistakes
        for name, row in zip(each.class_names, each.confusion, strict=True)
        if not sum(row)
    }
    return tuple(names)


def failures_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return why trials failed, and why finals failed or diverged: one row per optimizer, stage, outcome and cause.

    Columns: optimizer, stage, outcome, cause, runs (their number). An optimizer's most frequent cause comes first.
    """
    columns = ["optimizer", "stage", "outcome", "cause"]
    lost = runs[
        (runs["outcome"] == Outcome.FAILED) | ((runs["stage"] == Stage.FINAL) & (runs["outcome"] == Outcome.DIVERGED))
    ]
    counted = lost.groupby(columns, sort=False).size().reset_index(name="runs")
    return counted.sort_values(["stage", "optimizer", "runs"], ascending=[False, True, False], ignore_index=True)


def finals_by_seed(runs: pd.DataFrame, optimizers: Sequence[str]) -> dict[str, dict[int, float]]:
    """Return test accuracies (fractions) at the last epoch of completed finals, the best mean first."""
    finals = runs[(runs["stage"] == "final") & (runs["outcome"] == "completed") & runs["test_accuracy"].notna()]
    by_name = {
        name: {
            int(run["seed"]): float(run["test_accuracy"])
            for run in finals[finals["optimizer"] == name].to_dict("records")
        }
        for name in optimizers
    }
    return dict(sorted(by_name.items(), key=lambda each: -mean(each[1].values()) if each[1] else math.inf))


def most_common(causes: "pd.Series[str]") -> str:
    """Return the most frequent recorded cause, with "most often" if there are others; empty if none is recorded."""
    counts = causes[causes != ""].value_counts()
    if not len(counts):
        return ""
    return f"{'most often ' if len(counts) > 1 else ''}{counts.idxmax()}"


def _cause(run: TrackedRun) -> str:
    """Return why a run failed or diverged, in one line; empty for other runs, or if the cause was not recorded."""
    outcome = outcome_of(run)
    if outcome == Outcome.DIVERGED and Tag.DIVERGENCE in run.tags:
        return Divergence.model_validate_json(run.tags[Tag.DIVERGENCE]).in_words
    return brief(run.tags.get(Tag.ERROR, "")) if outcome == Outcome.FAILED else ""


def outcome_of(run: TrackedRun) -> str:
    """Return how a run ended, or `running`; a resumed run still has the tag of its earlier end, which is ignored."""
    return "running" if run.status == "RUNNING" else run.tags.get(Tag.OUTCOME, "running")


def measured_split(epochs: pd.DataFrame) -> str:
    """Return `validation`, or `test` if no final has a validation split."""
    finals = epochs[epochs["stage"] == "final"]
    return "validation" if finals["validation_loss"].notna().any() or not len(finals) else "test"


IDENTITY = ("run_id", "optimizer", "stage", "seed")
RUN_COLUMNS = [
    "number",
    "replicate",
    "outcome",
    "epochs",
    "spent",
    "validation_accuracy",
    "test_accuracy",
    "test_loss",
]
RUN_COLUMNS += ["selected_epoch", "selected_test_accuracy", "selected_test_loss", "train_seconds", "cause"]


def identity(run: TrackedRun) -> dict[str, str]:
    """Return what tells a run from the others of its sweep: run_id, optimizer, stage and seed."""
    tags = (run.tags.get(Tag.OPTIMIZER, ""), run.tags.get(Tag.STAGE, ""), run.tags.get(Tag.SEED, ""))
    return dict(zip(IDENTITY, (run.run_id, *tags), strict=True))
