"""Tidy tables of a sweep, from its MLflow runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.records import METRIC_NAMES, Tag
from harness.tracking import TrackedRun


def epochs_frame(runs: Sequence[TrackedRun]) -> pd.DataFrame:
    """One row per run and epoch.

    Columns: run_id, optimizer, stage, seed, epoch; the fields of EpochMetrics (losses in nats, accuracies as
    fractions, durations in seconds); trained_seconds: training time since the run's beginning.
    """
    rows = []
    for run in runs:
        trained = 0.0
        for epoch in sorted(run.history.get(METRIC_NAMES["train_loss"], {})):
            values = {field: run.history.get(name, {}).get(epoch) for field, name in METRIC_NAMES.items()}
            trained += values["train_seconds"] or 0.0
            rows.append(_identity(run) | {"epoch": epoch} | values | {"trained_seconds": trained})
    columns = [*IDENTITY, "epoch", *METRIC_NAMES, "trained_seconds"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype(dict.fromkeys([*METRIC_NAMES, "trained_seconds"], "float64"))


def runs_frame(runs: Sequence[TrackedRun], epochs: pd.DataFrame) -> pd.DataFrame:
    """One row per run.

    Columns: run_id, optimizer, stage, seed, outcome, epochs (trained), the last epoch's validation_accuracy and
    test_accuracy (fractions), train_seconds (mean per epoch), and a column per searched or fixed config key.
    """
    last = epochs.groupby("run_id").last()
    mean = epochs.groupby("run_id")["train_seconds"].mean()
    count = epochs.groupby("run_id").size()
    rows = [
        _identity(run)
        | {
            "outcome": run.tags.get(Tag.OUTCOME, "running"),
            "epochs": int(count.get(run.run_id, 0)),
            "validation_accuracy": last["validation_accuracy"].get(run.run_id),
            "test_accuracy": last["test_accuracy"].get(run.run_id),
            "train_seconds": mean.get(run.run_id),
        }
        | {f"config.{key}": value for key, value in run.params.items()}
        for run in runs
    ]
    columns = [*IDENTITY, "outcome", "epochs", "validation_accuracy", "test_accuracy", "train_seconds"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def winners_frame(runs: pd.DataFrame, definition: Mapping[str, Any]) -> pd.DataFrame:
    """The trial that validation selected, one row per optimizer that has one.

    Columns: optimizer, the searched config keys, validation_accuracy (fraction), run_id.
    """
    keys = searched_keys(definition)
    completed = runs[(runs["stage"] == "trial") & (runs["outcome"] == "completed")]
    rows = []
    for optimizer in definition["optimizers"]:
        trials = completed[completed["optimizer"] == optimizer]
        if len(trials):
            best = trials.loc[trials["validation_accuracy"].astype(float).idxmax()]
            values = {key: best[f"config.{key}"] for key in keys[optimizer]}
            rows.append({"optimizer": optimizer, **values, **best[["validation_accuracy", "run_id"]]})
    return pd.DataFrame(rows, columns=None if rows else ["optimizer", "validation_accuracy", "run_id"])


def searched_keys(definition: Mapping[str, Any]) -> dict[str, list[str]]:
    """The config keys that each optimizer's study searched."""
    return {name: [*definition["spaces"][name], *definition["space"]] for name in definition["optimizers"]}


def without_superseded(runs: pd.DataFrame, definition: Mapping[str, Any]) -> pd.DataFrame:
    """`runs` less the finals of earlier winners: more trials may have found a better one since."""
    winners = winners_frame(runs, definition).set_index("optimizer")
    keys = searched_keys(definition)

    def is_current(run: pd.Series) -> bool:
        name = run["optimizer"]
        return run["stage"] != "final" or (
            name in winners.index and all(run[f"config.{key}"] == winners.loc[name, key] for key in keys[name])
        )

    return runs.loc[[is_current(run) for _, run in runs.iterrows()]]


def summary_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per optimizer that has a run, best mean test accuracy of the completed finals first.

    Columns: optimizer, mean, sd, lowest, highest (test accuracy, fractions), seeds, train_seconds (mean of the
    finals, per epoch), trials, epochs_tuning, completed, diverged, failed (numbers of trials).
    """
    rows = []
    for optimizer, group in runs.groupby("optimizer", sort=False):
        finals = group[(group["stage"] == "final") & (group["outcome"] == "completed")]
        trials = group[group["stage"] == "trial"]
        accuracy = finals["test_accuracy"].astype(float)
        rows.append(
            {
                "optimizer": optimizer,
                "mean": accuracy.mean(),
                "sd": accuracy.std(),
                "lowest": accuracy.min(),
                "highest": accuracy.max(),
                "seeds": len(finals),
                "train_seconds": finals["train_seconds"].astype(float).mean(),
                "trials": len(trials),
                "epochs_tuning": int(trials["epochs"].sum()),
                "completed": int((trials["outcome"] == "completed").sum()),
                "diverged": int((trials["outcome"] == "diverged").sum()),
                "failed": int((trials["outcome"] == "failed").sum()),
            }
        )
    frame = pd.DataFrame(rows, columns=SUMMARY)
    return frame.sort_values("mean", ascending=False, na_position="last", ignore_index=True)


IDENTITY = ("run_id", "optimizer", "stage", "seed")
SUMMARY = ["optimizer", "mean", "sd", "lowest", "highest", "seeds", "train_seconds"]
SUMMARY += ["trials", "epochs_tuning", "completed", "diverged", "failed"]


def _identity(run: TrackedRun) -> dict[str, str]:
    tags = (run.tags.get(Tag.OPTIMIZER, ""), run.tags.get(Tag.STAGE, ""), run.tags.get(Tag.SEED, ""))
    return dict(zip(IDENTITY, (run.run_id, *tags), strict=True))
