"""The table of optimizers: what is computed of each, and its columns wherever it is shown."""

from collections.abc import Mapping, Sequence

import pandas as pd

from reports.columns import INTERVAL, NOTHING, OPTIMIZER, Column, Row, in_epochs, of, percent, three_digits
from reports.statistics import LEAST_SEEDS, summarize, tiers
from reports.tables import finals_by_seed, most_common
from reports.winners import Winner

TRIAL_OUTCOMES = ["completed", "pruned", "diverged", "failed"]
SUMMARY = ["optimizer", "tiers", "mean", "low", "high", "sd", "median", "iqm", "selected_mean", "seeds"]
SUMMARY += ["lost_finals", "train_seconds", "edges", "trials", "epochs_spent", *TRIAL_OUTCOMES, "failure"]


def _marked(row: Row) -> str:
    return f"{row['optimizer']}{'*' if row['edges'] else ''}"


def _mean_on_terminal(row: Row) -> str:
    return f"{row['mean']:.2%}" if row["seeds"] else "no final completed"


def _interval_on_terminal(row: Row) -> str:
    return f"{row['low']:.2%} to {row['high']:.2%}" if row["seeds"] >= LEAST_SEEDS else ""


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
    Column("s an epoch", lambda row: three_digits(row["train_seconds"])),
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


def summary_frame(runs: pd.DataFrame, winners: Mapping[str, Winner], optimizers: Sequence[str]) -> pd.DataFrame:
    """One row per optimizer, best mean test accuracy of the completed finals first.

    Columns: optimizer; tiers (from 1, the best; two optimizers share one if and only if they can't be told apart);
    mean, low, high (95% interval), sd, median, iqm of the finals' test accuracy at the last epoch, selected_mean of
    that at the validation-selected epoch (fractions); seeds; lost_finals (not completed); train_seconds (per epoch,
    of the final that trained alone); edges (of the winner, in words); trials, epochs_spent, completed,
    pruned, diverged, failed (numbers of trials); failure (why most of those failed, empty where none did).
    """
    finals = finals_by_seed(runs, optimizers)
    groups = tiers({name: values for name, values in finals.items() if values})
    rows = []
    for name, values in finals.items():
        mine = runs[runs["optimizer"] == name]
        trials, measured = mine[mine["stage"] == "trial"], mine[mine["stage"] == "final"]
        completed = measured[measured["outcome"] == "completed"]
        outcomes = trials["outcome"].value_counts()
        rows.append(
            {
                "optimizer": name,
                "tiers": ", ".join(str(rank) for rank, group in enumerate(groups, 1) if name in group),
                **(summarize(list(values.values())).model_dump() if values else {"seeds": 0}),
                "selected_mean": completed["selected_test_accuracy"].astype(float).mean(),
                "lost_finals": int(measured["outcome"].isin(["diverged", "failed"]).sum()),
                "train_seconds": measured.loc[measured["quiet"], "train_seconds"].astype(float).mean(),
                "edges": winners[name].edges_in_words if name in winners else "",
                "trials": len(trials),
                "epochs_spent": float(trials["spent"].sum()),
                **{outcome: int(outcomes.get(outcome, 0)) for outcome in TRIAL_OUTCOMES},
                "failure": most_common(trials.loc[trials["outcome"] == "failed", "cause"]),
            }
        )
    frame = pd.DataFrame(rows, columns=SUMMARY).astype(dict.fromkeys(["mean", "low", "high", "sd"], "float64"))
    return frame.sort_values("mean", ascending=False, na_position="last", ignore_index=True)
