"""Lay out the leaderboard: the mean of each optimizer's finals, then its runs, grouped by kind."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd

from harness.config import RATE_KEYS
from harness.records import Outcome, Stage
from reports.columns import OPTIMIZER, Column, Row, Table, in_epochs, of

OTHER = "other"


class _Kind(NamedTuple):
    """A kind of runs shown in one table: its label, and its columns beside optimizer and run id."""

    label: str
    columns: tuple[Column, ...]


def _accuracy(key: str) -> Callable[[Row], str]:
    return lambda row: "" if pd.isna(row[key]) else f"{row[key]:.2%}"


def _learning_rate(row: Row) -> str:
    rates = (row.get(f"config.{key}") for key in RATE_KEYS)
    rate = next((each for each in rates if isinstance(each, str) and each != "None"), None)
    return "" if rate is None else f"{float(rate):.2g}"


def _batch_size(row: Row) -> str:
    size = row.get("config.batch_size")
    return size if isinstance(size, str) else ""


TRIAL = of("number", label="trial")
SEED = of("number", label="seed")
VALIDATION = Column("validation", _accuracy("validation_accuracy"))
TEST = Column("test", _accuracy("test_accuracy"))
RATE = Column("lr", _learning_rate)
BATCH = Column("batch", _batch_size)
RUN = of("run_id", "command", label="run")
MEANS = (
    OPTIMIZER,
    Column("mean test", _accuracy("mean")),
    of("finals"),
    Column("best validation", _accuracy("best")),
    of("trials"),
    of("pruned"),
)
# by the stage of completed runs, in the order shown; with the run's id each row fits into 80 columns
KINDS = {
    Stage.FINAL: _Kind("finals, measured on the test set", (SEED, VALIDATION, TEST)),
    Stage.START: _Kind("finals of the published starts", (SEED, VALIDATION, TEST)),
    Stage.TRIAL: _Kind("trials", (TRIAL, VALIDATION, RATE, BATCH)),
    Stage.CONFIRMATION: _Kind("the best trials, trained again on more seeds", (TRIAL, VALIDATION, RATE, BATCH)),
    Outcome.PRUNED: _Kind(
        "pruned trials", (TRIAL, Column("epochs", lambda row: in_epochs(row["epochs"])), VALIDATION, RATE)
    ),
    OTHER: _Kind(
        "other runs",
        (
            Column("what", lambda row: Stage(row["stage"]).of_number(row["number"]), "words"),
            Column("outcome", lambda row: "replaced" if row["superseded"] else row["outcome"], "words"),
            RATE,
        ),
    ),
}


def kind_of(row: Row) -> str:
    """Return the key in `KINDS` of the table that shows this run of the leaderboard."""
    if row["outcome"] == Outcome.COMPLETED and not row["superseded"]:
        return str(row["stage"])
    return Outcome.PRUNED if row["outcome"] == Outcome.PRUNED else OTHER


def shortened(board: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return the leaderboard with the first `limit` runs of each optimizer and kind."""
    rank = board.groupby(["optimizer", _kinds(board)]).cumcount()
    return board[rank < limit].reset_index(drop=True)


def board_tables(board: pd.DataFrame, limit: int) -> list[Table]:
    """Return the tables that show a leaderboard: the optimizers, then each kind of runs that occurs.

    Optimizers are sorted by mean test accuracy, the best first. Of each kind, the `limit` runs of an optimizer with
    the best validation accuracy are shown.
    """
    means = means_frame(board)
    tables = [Table("", MEANS, means.to_dict("records"))]
    short = shortened(board, limit)
    place = short["optimizer"].map({name: place for place, name in enumerate(means["optimizer"])})
    ordered = short.iloc[place.argsort(kind="stable")]
    kinds = _kinds(ordered)
    for key, kind in KINDS.items():
        rows = ordered[kinds == key].to_dict("records")
        if rows:
            tables.append(Table(kind.label, (OPTIMIZER, *kind.columns, RUN), rows))
    return tables


def means_frame(board: pd.DataFrame) -> pd.DataFrame:
    """Return one row per optimizer: the best mean test accuracy first; those without finals last, by best trial.

    Columns: optimizer, mean (test accuracy of the completed finals), finals (their number), best (validation accuracy
    of the completed trials; both fractions), trials (completed), pruned.
    """
    kinds = _kinds(board)
    rows = []
    for name in board["optimizer"].unique():
        mine = board["optimizer"] == name
        finals = board.loc[mine & (kinds == Stage.FINAL), "test_accuracy"].dropna().astype(float)
        trials = board.loc[mine & (kinds == Stage.TRIAL), "validation_accuracy"].dropna().astype(float)
        rows.append(
            {
                "optimizer": name,
                "mean": finals.mean(),
                "finals": len(finals),
                "best": trials.max(),
                "trials": int((mine & (kinds == Stage.TRIAL)).sum()),
                "pruned": int((mine & (kinds == Outcome.PRUNED)).sum()),
            }
        )
    frame = pd.DataFrame(rows, columns=["optimizer", "mean", "finals", "best", "trials", "pruned"])
    return frame.sort_values(["mean", "best"], ascending=False, na_position="last", kind="stable", ignore_index=True)


def shown_runs(tables: Sequence[Table]) -> int:
    """Return the number of runs that the tables of a leaderboard show."""
    return sum(len(each.rows) for each in tables[1:])


def _kinds(board: pd.DataFrame) -> "pd.Series[str]":
    return pd.Series([kind_of(row) for row in board.to_dict("records")], index=board.index, dtype=object)
