"""Make the tables of the page: label, columns, rows, and a note on how to read each."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from reports import columns, optimizers
from reports.columns import Column, Row, Table, margin_points
from reports.contents import Contents
from reports.targets import targets_summary
from reports.verdicts import Verdicts
from reports.winners import hyperparameters
from studies.requirements import LEAST_UNITS


def shown_tables(said: Contents) -> dict[str, Table]:
    """Return the tables by the name that the templates use."""
    return _of_finals(said) | _of_trials(said) | _of_runs(said)


def _of_finals(said: Contents) -> dict[str, Table]:
    summary = _records(said, "summary")
    star = " *: not fully tuned, since the best value is at the edge of its range."
    reached = targets_summary(said.tables["targets"])
    verdicts, things = said.computed.verdicts, said.computed.things
    units = "replicates" if verdicts.of_optimizers else "finals"
    has_more = verdicts.enough and any(len(verdicts.used.get(name, ())) < len(of) for name, of in said.finals.items())
    more = " The means are of all finals; the tiers follow from the verdicts, which use fewer." if has_more else ""
    return {
        "optimizers": Table(
            "Test accuracy by optimizer",
            optimizers.ON_PAGE,
            summary,
            'Optimizers in one tier are not shown to differ. "mean" is at the last epoch; "best epoch" is the mean '
            f"at the epoch that validation selects.{more}{star if any(row['edges'] for row in summary) else ''}",
        ),
        "differences": Table(
            "Differences between optimizers",
            columns.DIFFERENCES,
            [row | {"tested": not pd.isna(row["low"]), "units": units} for row in _records(said, "differences")],
            _about_verdicts(verdicts),
        ),
        "others": Table(
            "Verdicts on loss and on the time to a target",
            columns.OTHER_VERDICTS,
            [
                row | {"outcome": _outcome(row["outcome"], verdicts.target, things), "units": units}
                for row in _records(said, "verdicts")
                if row["outcome"] != "accuracy" and not pd.isna(row["low"])
            ],
            "Judged in the same way as accuracy; the intervals of each outcome are simultaneous. Loss is in nats, "
            f"with a margin of an eighth of the lowest loss. {things.capitalize()} until the target are compared as "
            f"ratios, with a margin of 1.25.{_about_missed(said)}",
        ),
        "tuning": Table(
            "Did tuning help?",
            columns.TUNING,
            [gain.model_dump() | {"in_words": gain.in_words} for gain in said.computed.gains],
            "Test accuracy of each winner minus that of the published start of its search, on the same seeds. The "
            "intervals of all optimizers are simultaneous (Student's t on the pairs, Bonferroni).",
        ),
        "targets": Table(
            "Time to target accuracies",
            columns.target_columns([cell["target"] for cell in reached[0]["targets"]] if reached else []),
            reached,
            "Epochs (and seconds of training) until a final was first measured at that accuracy: the median over "
            "seeds. In brackets: how many seeds reached it. Never: at least half of the seeds did not.",
        ),
    }


def _about_verdicts(verdicts: Verdicts) -> str:
    if not verdicts.enough:
        units = "replicates" if verdicts.of_optimizers else "finals"
        return f"There are no verdicts: they need at least {max(LEAST_UNITS, verdicts.looks[0])} {units}."
    return (
        f"The verdicts are about {verdicts.population}. {verdicts.assurance.capitalize()}. A pair is the same if "
        f"its interval lies within ±{margin_points(verdicts.margin)} points."
    )


def _outcome(outcome: str, target: float | None, things: str) -> str:
    return f"{things} to {target:.1%}" if outcome == "images_to_target" and target is not None else outcome


def _about_missed(said: Contents) -> str:
    """Say what the ratios of images mean if a final missed the judged target; empty if none did."""
    targets = said.tables["targets"]
    if not (targets.loc[targets["target"] == said.computed.verdicts.target, "images"] == math.inf).any():
        return ""
    return (
        f" A final that did not reach the target counts all its {said.computed.things}: where only the slower "
        "optimizer has such finals, the true ratio is at least as large; where the faster one has some, it may be "
        "smaller."
    )


def _of_trials(said: Contents) -> dict[str, Table]:
    return {
        "budgets": Table(
            "Budgets and outcomes of the trials",
            optimizers.BUDGETS,
            _records(said, "summary"),
            "Every optimizer has the same budget of epochs. A trial that diverged or failed uses the budget up to "
            "its next rung, or to the end of its epoch.",
        ),
        "winners": Table(
            "Hyperparameters of the winners",
            columns.winner_columns(hyperparameters(said.computed.winners)),
            _records(said, "winners"),
            _about_winners(said),
        ),
    }


def _about_winners(said: Contents) -> str:
    """Describe how winners were selected, and whether their validation accuracy is the best of several trials."""
    runs = said.tables["runs"]
    completed = runs[(runs["stage"] == "trial") & (runs["outcome"] == "completed")]
    most = completed.groupby(["optimizer", "replicate"]).size().max()
    if (runs["stage"] == "confirmation").any():
        return (
            "The best trials of each search were trained again on more seeds. The winner is the one with the highest "
            "mean validation accuracy over all its seeds, which the table shows."
        )
    chosen = "The winner is the completed trial with the highest validation accuracy of each search."
    if pd.isna(most) or most < 2:
        return f"{chosen} No search completed more than one trial."
    return (
        f"{chosen} Since it is the best of up to {most}, it is likely to be too high; the test accuracy of the "
        "finals is not."
    )


def _of_runs(said: Contents) -> dict[str, Table]:
    runs = _records(said, "runs")
    return {
        "failures": Table(
            "Why runs did not complete",
            columns.FAILURES,
            _records(said, "failures"),
            "Trials that failed or diverged count against the budget. This table lists no diverged trials; the "
            "table above counts them. A final that did not complete is in no mean.",
        ),
        "finals": _checkable("All finals", columns.FINALS, [row for row in runs if row["stage"] == "final"]),
    }


def _checkable(label: str, of_runs: Sequence[Column], rows: Sequence[Row]) -> Table:
    """Return a table of runs with a command that checks each; with causes if some did not complete."""
    causes = [columns.CAUSE] if any(row["cause"] for row in rows) else []
    note = "The command runs the same config again and compares every epoch bit by bit."
    return Table(label, [*of_runs, *causes], rows, note)


def _records(said: Contents, name: str) -> list[dict[Any, Any]]:
    return said.tables[name].to_dict("records")
