"""The tables of the page: what each is called, its columns and rows, and how to read it."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reports import columns, optimizers
from reports.columns import Column, Row, Table, percent
from reports.contents import Contents
from reports.targets import targets_summary
from reports.winners import hyperparameters
from studies.replicates import confirming


def shown_tables(said: Contents) -> dict[str, Table]:
    """Return them by the name under which the templates show them."""
    return _of_finals(said) | _of_trials(said) | _of_runs(said)


def _of_finals(said: Contents) -> dict[str, Table]:
    summary = _records(said, "summary")
    star = " * not fully tuned: its best is at the edge of what was searched."
    reached = targets_summary(said.tables["targets"])
    verdicts, things = said.computed.verdicts, said.computed.things
    units = "replicates" if verdicts.of_optimizers else "finals"
    return {
        "optimizers": Table(
            "Test accuracy by optimizer",
            optimizers.ON_PAGE,
            summary,
            "Of two optimizers in one tier none is shown to be better. The mean is of the last epoch; best epoch is "
            f"the mean at the epoch that validation selects.{star if any(row['edges'] for row in summary) else ''}",
        ),
        "differences": Table(
            "Differences between optimizers",
            columns.DIFFERENCES,
            [row | {"tested": not pd.isna(row["low"]), "units": units} for row in _records(said, "differences")],
            f"About {verdicts.population}. All intervals hold together in at least 19 of 20 such sweeps; a pair is "
            f"the same where its interval lies within {percent(verdicts.margin)} points.",
        ),
        "others": Table(
            "Verdicts on loss and on the time to a target",
            columns.OTHER_VERDICTS,
            [
                row | {"outcome": _outcome(row["outcome"], verdicts.target, things), "units": units}
                for row in _records(said, "verdicts")
                if row["outcome"] != "accuracy" and not pd.isna(row["low"])
            ],
            "Judged as accuracy is, the intervals of each outcome together. Loss in nats, its margin an eighth of "
            f"the lowest; {things} until the target as ratios, the same within 1.25; of a run that never came there "
            "those of its whole training, so that a ratio is at least that.",
        ),
        "tuning": Table(
            "Did tuning help?",
            columns.TUNING,
            [gain.model_dump() | {"in_words": gain.in_words} for gain in said.computed.gains],
            "Each winner less the published start of its search, in test accuracy on the same seeds. The intervals "
            "of all optimizers hold together (Student's t on the pairs, Bonferroni).",
        ),
        "targets": Table(
            "Time to target accuracies",
            columns.target_columns([cell["target"] for cell in reached[0]["targets"]] if reached else []),
            reached,
            "Epochs (and seconds of training) until that accuracy was first measured: the median over "
            "seeds; in brackets how many of the seeds got there. Never: half of them or more did not.",
        ),
    }


def _outcome(outcome: str, target: float | None, things: str) -> str:
    return f"{things} to {target:.1%}" if outcome == "images_to_target" and target is not None else outcome


def _of_trials(said: Contents) -> dict[str, Table]:
    return {
        "budgets": Table(
            "Budgets and outcomes of the trials",
            optimizers.BUDGETS,
            _records(said, "summary"),
            "What was spent: every optimizer has the same budget of epochs. A trial that diverged or failed has also "
            "spent what it had left to its next rung, or to the end of its epoch.",
        ),
        "winners": Table(
            "Hyperparameters of the winners",
            columns.winner_columns(hyperparameters(said.computed.winners)),
            _records(said, "winners"),
            _about_winners(said),
        ),
    }


def _about_winners(said: Contents) -> str:
    """Say how winners were chosen, and whether their validation accuracy is the best of several."""
    runs = said.tables["runs"]
    completed = runs[(runs["stage"] == "trial") & (runs["outcome"] == "completed")]
    most = completed.groupby(["optimizer", "replicate"]).size().max()
    chosen = "The completed trial with the highest validation accuracy of each search."
    if confirming(said.source.definition):
        return f"{chosen} The best trials were trained again on further seeds, and that accuracy is the mean of all."
    if pd.isna(most) or most < 2:
        return f"{chosen} No search completed more than one trial."
    return (
        f"{chosen} As the best of up to {most}, it is likely to be too high; the test accuracy of the finals is not."
    )


def _of_runs(said: Contents) -> dict[str, Table]:
    runs = _records(said, "runs")
    return {
        "failures": Table(
            "Why runs did not complete",
            columns.FAILURES,
            _records(said, "failures"),
            "A trial that failed or diverged has spent its budget; of trials that diverged only the number is given, "
            "above. A final that did not complete is in no mean.",
        ),
        "finals": _checkable("Finals", columns.FINALS, [row for row in runs if row["stage"] == "final"]),
    }


def _checkable(label: str, of_runs: Sequence[Column], rows: Sequence[Row]) -> Table:
    """A table of runs, with the causes where one did not complete."""
    causes = [columns.CAUSE] if any(row["cause"] for row in rows) else []
    note = "Each runs again from its own record, and every epoch is compared bit by bit."
    return Table(label, [*of_runs, *causes], rows, note)


def _records(said: Contents, name: str) -> list[dict[Any, Any]]:
    return said.tables[name].to_dict("records")
