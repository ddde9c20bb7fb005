"""Print results as tables on the terminal: a sweep's summary, the leaderboard, two runs compared, and a rerun."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
from rich.table import Table
from rich.text import Text

from experiments.cli.prose import say
from experiments.cli.terminal import wide_console
from reports.columns import Column, Row, percent
from reports.units import texts

if TYPE_CHECKING:
    from harness.reproduce import MetricComparison, Reproduction

SHOWN_RUNS = 10  # runs of an optimizer in each table of the leaderboard, by default


def print_summary(summary: pd.DataFrame) -> None:
    """Print a row per optimizer, the best first, then a line with the cause for each optimizer with failed trials."""
    from reports.optimizers import ON_TERMINAL  # loads scipy, which takes a second that a sweep should not wait for

    wide_console().print(_table(ON_TERMINAL, summary.to_dict("records")))
    for row in summary[summary["failed"] > 0].to_dict("records"):
        why = f": {row['failure']}" if row["failure"] else ""
        say(f"{row['optimizer']}: {row['failed']} of {row['trials']} trials failed{why}")


def print_leaderboard(found: pd.DataFrame, limit: int = SHOWN_RUNS) -> None:
    """Print the optimizers' means, then a table per kind of run; each has at most `limit` runs of an optimizer."""
    from reports.board import board_tables, shown_runs

    console = wide_console()
    tables = board_tables(found, limit)
    for each in tables:
        if each.label:
            console.print("", Text(each.label, style="bold"), sep="\n")
        console.print(_table(each.columns, each.rows))
    shown = shown_runs(tables)
    if shown < len(found):
        console.print()
        say(f"{shown} of {len(found)} runs: the best {limit} of each optimizer in each table; --limit N shows more")


def print_differences(found: pd.DataFrame) -> None:
    """Print the two run ids, then a row for each value that differs, with its unit; a missing value is empty."""
    names = ("one", "other")
    for name, run_id in zip(names, found.columns, strict=True):
        say(f"{name:<5} {run_id}")
    table = _empty_table("", *names)
    for what, row in found.iterrows():
        table.add_row(str(what), *texts(str(what), list(row)))
    wide_console().print(table)


def print_reproduction(result: "Reproduction") -> None:
    """Print the differences in environment, code and metrics, then one line with the verdict."""
    for kind, differences in (("environment", result.environment), ("code", result.code)):
        for changed in differences:
            say(f"{kind} differs: {changed.what} was {changed.then}, now {changed.now}")
    different = [each for each in result.comparisons if each.recorded != each.reproduced]
    if different:
        table = _empty_table("epoch", "metric", "recorded", "now", "")
        for each in different:
            verdict = "within tolerance" if each.agrees else "DIFFERS"
            table.add_row(str(each.epoch), each.metric, *_recorded_and_now(each), verdict)
        wide_console().print(table)
    say(_verdict(result))


def _verdict(result: "Reproduction") -> str:
    from harness.reproduce import ACCURACY_TOLERANCE, LOSS_TOLERANCE

    wrong = next((each for each in result.comparisons if not each.agrees), None)
    if wrong is not None:
        then, now = (text or "nothing" for text in _recorded_and_now(wrong))
        return f"not reproduced: epoch {wrong.epoch}, {wrong.metric}: recorded {then}, now {now}"
    if result.first_difference is not None:  # all metrics agree, but the outcome or the final state differs
        return f"not reproduced: {result.first_difference}"
    count = len(result.comparisons)
    if result.environment:
        return (
            f"reproduced in another environment: {count} values agree, accuracies within "
            f"{percent(ACCURACY_TOLERANCE)} points, losses within {LOSS_TOLERANCE:.0%}; bits and the state hash were "
            "not compared"
        )
    if not result.has_final_state:
        return f"reproduced bit by bit: {count} values are identical; the run recorded no final state"
    return f"reproduced bit by bit: {count} values and the final state are identical"


def _recorded_and_now(each: "MetricComparison") -> list[str]:
    return texts(each.metric, (each.recorded, each.reproduced))


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    table = _empty_table()
    for column in columns:
        table.add_column(column.label, no_wrap=column.role == "command")  # a user copies a command as one line
    for row in rows:
        table.add_row(*(column.text(row) for column in columns))
    return table


def _empty_table(*labels: str) -> Table:
    return Table(*labels, box=None, pad_edge=False)
