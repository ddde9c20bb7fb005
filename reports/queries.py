"""The Python API on what was tracked: three questions, each answered with a pandas frame, from MLflow alone."""

import json
from collections.abc import Hashable
from typing import Any

import pandas as pd

from harness.errors import BadInputError
from harness.records import Tag
from harness.tracking.read import latest_sweep, read_sweep, read_tracked_run
from harness.tracking.tracker import TrackedRun
from reports.tables import epochs_frame, outcome_of, runs_frame

SHOWN = ["run_id", "optimizer", "stage", "number", "outcome", "epochs", "validation_accuracy", "test_accuracy"]
SHOWN += ["train_seconds", "replicate", "superseded"]
CONFIG = "config."


def leaderboard(sweep_id: str | None = None) -> pd.DataFrame:
    """The trials and finals of a sweep (the latest by default), the best validation accuracy first.

    A row per run: run_id, optimizer, stage, number (the trial's, or the final's seed), outcome, epochs (trained), the
    last validation_accuracy and test_accuracy (fractions; trials have no test accuracy), train_seconds (mean of an
    epoch), replicate (counted from 1), superseded (whether it is a final of a winner that more trials have replaced),
    and `config.KEY` for each key of the config in which the runs differ.

    Raises:
        BadInputError: there is no such sweep.
    """
    _, children = read_sweep(sweep_id or latest_sweep())
    runs = runs_frame(children, epochs_frame(children))
    config = [name for name in runs.columns if name.startswith(CONFIG)]
    varied = [name for name in config if runs[name].nunique(dropna=False) > 1 and name != f"{CONFIG}optimizer.name"]
    replaced = {run.run_id for run in children if run.tags.get(Tag.SUPERSEDED) == "true"}
    runs["superseded"] = runs["run_id"].isin(replaced)
    best_first = runs.sort_values("validation_accuracy", ascending=False, kind="stable", ignore_index=True)
    return best_first[[*SHOWN, *varied]]


def compare(run_id: str, other_id: str) -> pd.DataFrame:
    """Where two runs, trials or finals differ: their config, their outcome and each of their last metrics.

    The index is what differs (`config.optimizer.lr`, `test/accuracy`), a column per run; None where a run lacks it.

    Raises:
        BadInputError: there is no such run, or both are the same.
    """
    if run_id == other_id:
        raise BadInputError(
            "run", other_id, "is to be compared with itself", expected="two different ones", next_step="name another"
        )
    one, other = (_described(read_tracked_run(each)) for each in (run_id, other_id))
    different = sorted((key for key in one | other if one.get(key) != other.get(key)), key=_place)
    columns = [[side.get(key) for key in different] for side in (one, other)]
    frame = pd.DataFrame(list(zip(*columns, strict=True)), columns=[run_id, other_id], dtype=object)
    return frame.set_index(pd.Index(different, name="what"))


def export(sweep_id: str | None = None) -> pd.DataFrame:
    """All of a sweep (the latest by default) as one tidy table: a row per run and epoch.

    Columns: those of `reports.tables.epochs_frame`, then `number`, and `config.KEY` for each key of the config.

    Raises:
        BadInputError: there is no such sweep.
    """
    _, children = read_sweep(sweep_id or latest_sweep())
    epochs = epochs_frame(children)
    runs = runs_frame(children, epochs)
    config = [name for name in runs.columns if name.startswith(CONFIG)]
    return epochs.merge(runs[["run_id", "number", *config]], on="run_id", how="left", validate="many_to_one")


def table_bytes(table: pd.DataFrame, file_format: str) -> bytes:
    """The content of a file with that table: `csv`, `json` (a list of records) or `parquet`."""
    if file_format == "parquet":
        content = table.to_parquet(index=False)
        assert content is not None, "to_parquet returns bytes where it is given no path"
        return content
    if file_format == "csv":
        return table.to_csv(index=False, lineterminator="\n").encode()
    return json.dumps(records(table)).encode()


def records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows as plain values that keep every bit, which `to_json` does not; None where there is none."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _place(key: str) -> tuple[int, str]:
    """Sort the keys of the config in their own order, then the outcome, then metrics by name."""
    return (0, "") if key.startswith(CONFIG) else (1, "") if key == "outcome" else (2, key)


def _described(run: TrackedRun) -> dict[str, object]:
    config = {f"{CONFIG}{key}": value for key, value in run.params.items()}
    metrics = {name: points[max(points)] for name, points in run.history.items() if points}
    return {**config, "outcome": outcome_of(run), **metrics}
