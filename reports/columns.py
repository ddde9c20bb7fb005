"""The columns of the report's tables: what each is called, its text in a row, and what kind of thing it holds.

A table of the page, of Markdown and of the terminal is made of the same columns. Those of the table of optimizers are
in `reports.optimizers`, beside what computes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

Row = Mapping[Any, Any]
# `name`: of what the row is about; `hyperparameter`: a key of the config; `command`: to be copied; `sentence`: it may
# take several lines
Role = Literal["name", "hyperparameter", "number", "words", "sentence", "command"]
NOTHING = "–"  # there is no such number


@dataclass(frozen=True)
class Column:
    """One column: its heading, its text in a row, and its role, which decides how it looks."""

    label: str
    text: Callable[[Row], str]
    role: Role = "number"

    @property
    def is_left(self) -> bool:
        """Whether its texts begin at one line, as words do; numbers end at one."""
        return self.role in ("words", "sentence", "command")


@dataclass(frozen=True)
class Table:
    """A table as it is shown: its columns and rows, what it is called, and how to read it."""

    label: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""

    @property
    def cells(self) -> list[list[str]]:
        """The text of each row in each column."""
        return [[column.text(row) for column in self.columns] for row in self.rows]


def percent(value: float | None) -> str:
    """A fraction in percent or points."""
    return NOTHING if pd.isna(value) else f"{value * 100:.2f}"


def interval(row: Row) -> str:
    """Return the interval from the row's `low` to its `high`, fractions."""
    return NOTHING if pd.isna(row["low"]) else f"{percent(row['low'])} to {percent(row['high'])}"


def three_digits(value: float | None) -> str:
    """A number as short as it can be compared."""
    return NOTHING if pd.isna(value) else f"{value:.3g}"


def setting(value: Any) -> str:  # noqa: ANN401
    """The value of a hyperparameter."""
    if pd.isna(value):
        return NOTHING
    if isinstance(value, bool | str):
        return str(value)
    return str(int(value)) if value == int(value) and value < 1e6 else f"{value:.3g}"


def hyperparameter(key: str) -> Column:
    """The column of what was searched under that key of the config."""
    return Column(key, lambda row: setting(row[key]), "hyperparameter")


def of(key: str, role: Role = "number", label: str | None = None) -> Column:
    """The column of what a row holds under that key, as it is."""
    return Column(label or key, lambda row: str(row[key]), role)


OPTIMIZER = of("optimizer", "name")
INTERVAL = Column("95% interval", interval)


def _verdict(row: Row) -> str:
    """Say the verdict, and what would decide it."""
    more: float | None = row["more"]
    units = row["units"]
    if not pd.isna(row.get("search_luck")):
        luck = percent(row["search_luck"])
        return f"{row['verdict']}; of the optimizers too where a search's luck has an s.d. below {luck}"
    return str(row["verdict"]) if pd.isna(more) else f"{row['verdict']}: about {int(more)} {units} would decide"


def _change(row: Row) -> str:
    """Whether two sweeps are told apart; `tested`: there were seeds enough to."""
    return "told apart" if row["told_apart"] else "tied" if row["tested"] else "too few seeds"


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
    """A difference of losses in nats, or a ratio of images."""
    return f"{value:.4f}" if row["outcome"] == "loss" else f"{value:.2f}×"


def winner_columns(keys: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of winners whose hyperparameters have these keys."""
    validation = Column("validation %", lambda row: percent(row["validation_accuracy"]))
    trial = Column(
        "trial", lambda row: f"{row['trial']}{', the published start' if row['is_start'] else ''}", "words"
    )
    return (OPTIMIZER, of("replicate"), *map(hyperparameter, keys), validation, trial)


def target_columns(accuracies: Sequence[float]) -> tuple[Column, ...]:
    """Return the columns that say when each accuracy was reached, for rows that hold them in `targets`."""

    def reached(index: int) -> Callable[[Row], str]:
        return lambda row: _reached(row["targets"][index])

    return (OPTIMIZER, *(Column(f"{each * 100:g}%", reached(index)) for index, each in enumerate(accuracies)))


def _reached(cell: Mapping[str, Any]) -> str:
    seconds = "" if cell["seconds"] is None else f" ({cell['seconds']:.3g} s)"
    when = "never" if cell["epochs"] is None else f"{cell['epochs']:.3g}{seconds}"
    return f"{when} [{cell['reached']}/{cell['seeds']}]"


def change_columns(names: tuple[str, str]) -> tuple[Column, ...]:
    """Return the columns that say how an optimizer changed between two sweeps of these names."""
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
    """Return a number of epochs with one decimal, or none where it is whole."""
    return f"{epochs:.1f}".removesuffix(".0")
