"""Define the columns of the report's tables: the heading, the text of a cell, and the role of its content.

The page, Markdown and the terminal use the same columns. The columns of the table of optimizers are in
`reports.optimizers`, beside the code that computes their values.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from studies.requirements import NO_SPREAD

Row = Mapping[Any, Any]
# `name`: names the row's subject; `hyperparameter`: a config key; `command`: text to copy; `sentence`: text that may
# take several lines
Role = Literal["name", "hyperparameter", "number", "words", "sentence", "command"]
NOTHING = "–"  # shown for a missing number


@dataclass(frozen=True)
class Column:
    """One column: its heading, a function that returns its text for a row, and its role, which sets its look."""

    label: str
    text: Callable[[Row], str]
    role: Role = "number"

    @property
    def is_left(self) -> bool:
        """Return whether the column is aligned left, as words are; numbers are aligned right."""
        return self.role in ("words", "sentence", "command")


@dataclass(frozen=True)
class Table:
    """A table to show: its label, columns and rows, and a note on how to read it."""

    label: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""

    @property
    def cells(self) -> list[list[str]]:
        """Return the text of each row in each column."""
        return [[column.text(row) for column in self.columns] for row in self.rows]


def percent(value: float | None) -> str:
    """Return a fraction as a percentage (or a difference in points) with two decimals."""
    return NOTHING if pd.isna(value) else f"{value * 100:.2f}"


def margin_points(margin: float) -> str:
    """Return a margin (fraction) in points: two decimals as for accuracies, or all digits if these would round it."""
    text = percent(margin)
    return text if math.isclose(float(text), 100 * margin) else f"{100 * margin:g}"


def interval(row: Row) -> str:
    """Return the interval from the row's `low` to its `high` (fractions), in percent."""
    return f"{percent(row['low'])} to {percent(row['high'])}" if is_known(row) else NOTHING


def is_known(row: Row) -> bool:
    """Return whether a row has an interval; one without width, of finals that do not vary, does not show any luck."""
    return not pd.isna(row["low"]) and bool(row["high"] - row["low"] > NO_SPREAD)


def three_digits(value: float | None) -> str:
    """Return a number with three significant digits."""
    return NOTHING if pd.isna(value) else f"{value:.3g}"


def setting(value: Any) -> str:  # noqa: ANN401
    """Return the text of a hyperparameter's value."""
    if pd.isna(value):
        return NOTHING
    if isinstance(value, bool | str):
        return str(value)
    return str(int(value)) if value == int(value) and value < 1e6 else f"{value:.3g}"


def hyperparameter(key: str) -> Column:
    """Return the column of a searched config key."""
    return Column(key, lambda row: setting(row[key]), "hyperparameter")


def of(key: str, role: Role = "number", label: str | None = None) -> Column:
    """Return the column that shows a row's value under `key` as it is."""
    return Column(label or key, lambda row: str(row[key]), role)


OPTIMIZER = of("optimizer", "name")
INTERVAL = Column("95% interval", interval)


def _verdict(row: Row) -> str:
    """Return the verdict in words, with the number of finals or replicates that would decide it."""
    more: float | None = row["more"]
    units = row["units"]
    if not pd.isna(row.get("search_luck")):
        luck = percent(row["search_luck"])
        return f"{row['verdict']}; also for the optimizers if a search's luck has an s.d. below {luck}"
    return str(row["verdict"]) if pd.isna(more) else f"{row['verdict']}: about {int(more)} {units} would decide"


def _change(row: Row) -> str:
    """Say whether the optimizer differs between two sweeps; `tested` means that there are enough units."""
    if row["lost"]:
        return "a search found no winner" if row["without_winner"] else "a final did not complete"
    return "different" if row["told_apart"] else "not shown to differ" if row["tested"] else f"too few {row['units']}"


P = Column("p", lambda row: f"{row['p']:.3f}" if row["tested"] else NOTHING)

DIFFERENCES = (
    of("better", "name"),
    of("worse", "words", label="than"),
    Column("points", lambda row: percent(row["mean"])),
    INTERVAL,
    Column("verdict", _verdict, "words"),
)
OTHER_VERDICTS = (
    of("outcome", "words"),
    of("better", "words"),
    of("worse", "words", label="than"),
    Column("by", lambda row: _amount(row, row["difference"])),
    Column(
        "95% interval",
        lambda row: NOTHING if pd.isna(row["low"]) else f"{_amount(row, row['low'])} to {_amount(row, row['high'])}",
    ),
    Column("verdict", _verdict, "words"),
)
TUNING = (
    OPTIMIZER,
    Column("start won", lambda row: f"{row['starts_won']} of {row['searches']}"),
    Column("points", lambda row: percent(row["difference"])),
    INTERVAL,
    of("in_words", "words", label="the winner is"),
)
FAILURES = (
    OPTIMIZER,
    of("stage"),
    of("outcome"),
    of("runs"),
    Column("cause", lambda row: row["cause"] or "not recorded", "sentence"),
)
CHECK = Column("check", lambda row: f"harness reproduce {row['run_id']}", "command")
CAUSE = of("cause", "sentence")
FINALS = (OPTIMIZER, of("seed"), of("outcome"), Column("test %", lambda row: percent(row["test_accuracy"])), CHECK)


def _amount(row: Row, value: float) -> str:
    """Return a difference of losses in nats, or a ratio of images."""
    return f"{value:.4f}" if row["outcome"] == "loss" else f"{value:.2f}×"


def winner_columns(keys: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of the winners' table, with a column for each of these hyperparameters."""
    validation = Column("validation %", lambda row: percent(row["validation_accuracy"]))
    trial = Column(
        "trial", lambda row: f"{row['trial']}{', the published start' if row['is_start'] else ''}", "words"
    )
    return (OPTIMIZER, of("replicate"), *map(hyperparameter, keys), validation, trial)


def target_columns(accuracies: Sequence[float]) -> tuple[Column, ...]:
    """Return the columns that show when each accuracy was reached; rows hold the values in `targets`."""

    def reached(index: int) -> Callable[[Row], str]:
        return lambda row: _reached(row["targets"][index])

    return (OPTIMIZER, *(Column(f"{each * 100:g}%", reached(index)) for index, each in enumerate(accuracies)))


def _reached(cell: Mapping[str, Any]) -> str:
    seconds = "" if cell["seconds"] is None else f" ({cell['seconds']:.3g} s)"
    when = "never" if cell["epochs"] is None else f"{cell['epochs']:.3g}{seconds}"
    return f"{when} [{cell['reached']}/{cell['seeds']}]"


def change_columns(names: tuple[str, str]) -> tuple[Column, ...]:
    """Return the columns that show how an optimizer changed between two sweeps with these names."""
    return (
        OPTIMIZER,
        Column(f"{names[0]} %", lambda row: percent(row["before"])),
        Column(f"{names[1]} %", lambda row: percent(row["after"])),
        Column("points", lambda row: percent(row["difference"])),
        INTERVAL,
        P,
        Column("verdict", _change),
    )


def in_epochs(epochs: float) -> str:
    """Return a number of epochs with one decimal, or without decimals if it is whole."""
    return f"{epochs:.1f}".removesuffix(".0")
