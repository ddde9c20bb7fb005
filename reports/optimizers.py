"""Make the table of optimizers: its values, and its columns wherever it is shown."""

from collections.abc import Sequence
from statistics import mean, median
from typing import Any

import pandas as pd

from harness.records import Outcome, Stage
from reports.columns import INTERVAL, NOTHING, OPTIMIZER, Column, Row, in_epochs, is_known, of, percent, three_digits
from reports.statistics import summarize, tiers
from reports.tables import finals_by_seed, most_common
from reports.verdicts import Verdicts
from reports.winners import Winners
from studies.requirements import LEAST_UNITS

SPOILT = 2.0  # a final with more than this many times the median error of its optimizer's finals is spoilt
ROUNDING = 1e-9  # errors whose ratio is this near to 1 are equal: 1 - accuracy is rounded, and one image is more
TRIAL_OUTCOMES = ["completed", "pruned", "diverged", "failed"]
SUMMARY = ["optimizer", "tiers", "mean", "low", "high", "sd", "median", "iqm", "selected_mean", "seeds"]
SUMMARY += [
    "lost_finals",
    "spoilt_finals",
    "train_seconds",
    "edges",
    "starts_won",
    "trials",
    "epochs_spent",
    *TRIAL_OUTCOMES,
    "failure",
]


def _marked(row: Row) -> str:
    return f"{row['optimizer']}{'*' if row['edges'] else ''}"


def _mean_on_terminal(row: Row) -> str:
    return f"{row['mean']:.2%}" if row["seeds"] else "no final completed"


def _interval_on_terminal(row: Row) -> str:
    known = row["seeds"] >= LEAST_UNITS and is_known(row)  # of one replicate with many finals it is unknown
    return f"{row['low']:.2%} to {row['high']:.2%}" if known else ""


MARKED = Column("optimizer", _marked, "name")
TIER = Column("tier", lambda row: row["tiers"] or NOTHING)
SEEDS = of("seeds")
ON_PAGE = (
    MARKED,
    TIER,
    Column("mean %", lambda row: percent(row["mean"])),
    INTERVAL,
    Column("sd", lambda row: percent(row["sd"])),
    Column("best epoch %", lambda row: percent(row["selected_mean"])),
    SEEDS,
    Column("s per epoch", lambda row: three_digits(row["train_seconds"])),
)
IN_MLFLOW = (MARKED, TIER, Column("mean test %", lambda row: percent(row["mean"])), INTERVAL, SEEDS)
ON_TERMINAL = (
    OPTIMIZER,
    of("tiers", label="tier"),
    Column("mean test", _mean_on_terminal),
    Column("95% interval", _interval_on_terminal),
    SEEDS,
    of("trials"),
    Column("", lambda row: "not fully tuned" if row["edges"] else ""),
)
BUDGETS = (
    OPTIMIZER,
    of("trials"),
    Column("epochs spent", lambda row: in_epochs(row["epochs_spent"])),
    *map(of, TRIAL_OUTCOMES),
)


def summary_frame(
    runs: pd.DataFrame, winners: Winners, optimizers: Sequence[str], verdicts: Verdicts
) -> pd.DataFrame:
    """Return one row per optimizer, the best mean test accuracy of the completed finals first.

    Columns: optimizer; tiers (from 1, the best; optimizers in one tier are not shown to differ); mean, low, high (95%
    interval, over replicates if there are several), sd, median and iqm of the finals' test accuracy at the last
    epoch; selected_mean (test accuracy at the epoch that validation selects; all fractions); seeds; lost_finals (not
    completed); spoilt_finals (completed, with more than twice their optimizer's median test error); train_seconds
    (per epoch, mean of its finals); edges (of the winners, in words); starts_won (searches that the published start
    won); trials, epochs_spent; completed, pruned, diverged, failed (numbers of trials); failure (the most frequent
    cause of failed trials, empty without one).
    """
    finals = finals_by_seed(runs, optimizers)
    means = {name: mean(values.values()) for name, values in finals.items() if values}
    groups = tiers(means, [(each.better, each.worse) for each in verdicts.accuracy if each.told_apart])
    rows = []
    for name, values in finals.items():
        mine = runs[runs["optimizer"] == name]
        trials, measured = mine[mine["stage"] == Stage.TRIAL], mine[mine["stage"] == Stage.FINAL]
        tuning = mine[mine["stage"].isin([Stage.TRIAL, Stage.CONFIRMATION])]
        completed = measured[measured["outcome"] == "completed"]
        outcomes = trials["outcome"].value_counts()
        of_name = winners.get(name, ())
        rows.append(
            {
                "optimizer": name,
                "tiers": ", ".join(str(rank) for rank, group in enumerate(groups, 1) if name in group),
                **_summary(measured, list(values.values()), verdicts),
                "selected_mean": completed["selected_test_accuracy"].astype(float).mean(),
                "lost_finals": int(measured["outcome"].isin(["diverged", "failed"]).sum()),
                "spoilt_finals": _spoilt(list(values.values())),
                "train_seconds": measured["train_seconds"].astype(float).mean(),
                "edges": "; ".join(dict.fromkeys(each.edges_in_words for each in of_name if each.edges)),
                "starts_won": sum(each.is_start for each in of_name),
                "trials": len(trials),
                "epochs_spent": float(tuning["spent"].sum()),
                **{outcome: int(outcomes.get(outcome, 0)) for outcome in TRIAL_OUTCOMES},
                "failure": most_common(trials.loc[trials["outcome"] == "failed", "cause"]),
            }
        )
    frame = pd.DataFrame(rows, columns=SUMMARY).astype(dict.fromkeys(["mean", "low", "high", "sd"], "float64"))
    return frame.sort_values("mean", ascending=False, na_position="last", ignore_index=True)


def _spoilt(accuracies: Sequence[float]) -> int:
    """Return how many finals have more than `SPOILT` times the median error; 0 for fewer than `LEAST_UNITS`."""
    if len(accuracies) < LEAST_UNITS:
        return 0
    errors = [1 - each for each in accuracies]
    most = SPOILT * median(errors) * (1 + ROUNDING)
    return sum(each > most for each in errors)


def _summary(measured: pd.DataFrame, values: Sequence[float], verdicts: Verdicts) -> dict[str, Any]:
    """Return the summary of an optimizer's finals; with several replicates the interval is over their means."""
    if not values:
        return {"seeds": 0}
    summary = summarize(values)
    if verdicts.of_optimizers:
        completed = measured[(measured["outcome"] == Outcome.COMPLETED) & measured["test_accuracy"].notna()]
        of_units = summarize(
            completed.astype({"test_accuracy": float}).groupby("replicate")["test_accuracy"].mean().tolist()
        )
        summary = summary.model_copy(update={"low": of_units.low, "high": of_units.high})
    return summary.model_dump()
