"""Answer three questions about tracked runs with pandas frames, from MLflow alone; import it in a notebook."""

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
    """Return the trials and finals of a sweep (by default the latest), the best validation accuracy first.

    One row per run: run_id, optimizer, stage, number (the trial's number, or the final's seed), outcome, epochs
    (trained), the last validation_accuracy and test_accuracy (fractions; trials have no test accuracy), train_seconds
    (mean per epoch), replicate (from 1), superseded (True for a final whose winner was replaced after more trials),
    and `config.KEY` for each config key in which the runs differ.

    Raises:
        BadInputError: the sweep does not exist.
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
    """Return where two runs, trials or finals differ: config, outcome and the last value of each metric.

    The index names what differs (`config.optimizer.lr`, `test/accuracy`). There is one column per run; a value that a
    run does not have is None.

    Raises:
        BadInputError: a run does not exist, or both ids are the same.
    """
    if run_id == other_id:
        raise BadInputError(
            "run", other_id, "is given twice", expected="two different runs", next_step="name another run"
        )
    one, other = (_described(read_tracked_run(each)) for each in (run_id, other_id))
    different = sorted((key for key in one | other if one.get(key) != other.get(key)), key=_place)
    columns = [[side.get(key) for key in different] for side in (one, other)]
    frame = pd.DataFrame(list(zip(*columns, strict=True)), columns=[run_id, other_id], dtype=object)
    return frame.set_index(pd.Index(different, name="what"))


def export(sweep_id: str | None = None) -> pd.DataFrame:
    """Return a whole sweep (by default the latest) as one tidy table with one row per run and epoch.

    Columns: those of `reports.tables.epochs_frame`, then `number`, and `config.KEY` for each config key.

    Raises:
        BadInputError: the sweep does not exist.
    """
    _, children = read_sweep(sweep_id or latest_sweep())
    epochs = epochs_frame(children)
    runs = runs_frame(children, epochs)
    config = [name for name in runs.columns if name.startswith(CONFIG)]
    return epochs.merge(runs[["run_id", "number", *config]], on="run_id", how="left", validate="many_to_one")


def table_bytes(table: pd.DataFrame, file_format: str) -> bytes:
    """Return the table as the content of a file: `csv`, `json` (a list of records) or `parquet`."""
    if file_format == "parquet":
        content = table.to_parquet(index=False)
        assert content is not None, "to_parquet returns bytes if it is given no path"
        return content
    if file_format == "csv":
        return table.to_csv(index=False, lineterminator="\n").encode()
    return json.dumps(records(table)).encode()


def records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Return the rows as plain values in full precision, which `to_json` would lose; None for a missing value."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _place(key: str) -> tuple[int, str]:
    """Return a sort key: config keys in their own order, then the outcome, then metrics by name."""
    return (0, "") if key.startswith(CONFIG) else (1, "") if key == "outcome" else (2, key)


def _described(run: TrackedRun) -> dict[str, object]:
    config = {f"{CONFIG}{key}": value for key, value in run.params.items()}
    metrics = {name: points[max(points)] for name, points in run.history.items() if points}
    return {**config, "outcome": outcome_of(run), **metrics}
