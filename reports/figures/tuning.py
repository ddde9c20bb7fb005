"""Show tuning: its gain over the published starts, what a smaller budget would have found, how trials ended."""

import math
from functools import partial

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from harness.colours import COLOURS, INK
from harness.records import Outcome, Stage
from reports.computed import Computed
from reports.curves import tuning_curve
from reports.figures.style import (
    Drawn,
    Looks,
    Picture,
    Width,
    drawable,
    figure,
    legend,
    looks,
    name_scale,
    rows,
    tint,
    tuples,
    up_to_100,
)
from reports.optimizers import TRIAL_OUTCOMES
from reports.statistics import names_at
from reports.tables import outcome_of
from studies.replicates import published_start

LEAST_COMPLETED = 5  # completed trials of a search that a tuning curve needs
LEAST_FOR_IMPORTANCE = 10  # completed trials of a search that importances need (`studies.search.importance`)
OUTCOME_COLOURS = dict(zip(TRIAL_OUTCOMES, (COLOURS[2], COLOURS[5], COLOURS[1], COLOURS[7]), strict=True))


def gains(of: Computed) -> Picture | str:
    """Show the test accuracy of each published start and of each winner, on the same seeds."""
    completed = of.runs[(of.runs["outcome"] == Outcome.COMPLETED) & of.runs["test_accuracy"].notna()]
    table = completed[completed["stage"].isin([Stage.FINAL, Stage.START])].pivot_table(
        index=["optimizer", "seed", "replicate"], columns="stage", values="test_accuracy", sort=False
    )
    table = table.reindex(columns=[Stage.FINAL, Stage.START]).dropna()
    if not len(table):
        if not of.gains:
            return ""
        if all(each.starts_won == each.searches for each in of.gains):
            return "did tuning help? (the published start won every search)"
        return "did tuning help? (no seed has a completed final of a winner and of its published start)"
    data = 100 * table.astype(float).reset_index().set_index(["optimizer", "seed", "replicate"])
    data = data.rename(columns={Stage.START: "start", Stage.FINAL: "winner"}).reset_index()
    return Picture(data, _said_of_gains(of), partial(_draw_gains, looks(of.optimizers)))


def _said_of_gains(of: Computed) -> str:
    return "; ".join(f"{each.optimizer}: {each.in_words}" for each in of.gains) + "."


def _draw_gains(looks: Looks, data: pd.DataFrame, width: Width) -> Drawn:
    names = list(dict.fromkeys(data["optimizer"]))
    drawn = figure(width, 0.65 + 0.24 * len(names))
    axis = drawn.subplots()
    for row, name in enumerate(names):
        mine, look = data[data["optimizer"] == name], looks[name]
        for each in tuples(mine):
            (line,) = axis.plot([each.start, each.winner], [row, row], color=look.colour, alpha=0.3, linewidth=0.8)
            drawn.tag(line, [look], f"{name}, seed {each.seed}: {each.start:.2f}% to {each.winner:.2f}%")
        ends = axis.plot(mine[["start", "winner"]].mean(), [row, row], color=look.colour, linewidth=2)
        for at, face in (("start", "none"), ("winner", look.colour)):
            ends += axis.plot(
                mine[at].mean(), row, look.marker, color=look.colour, markerfacecolor=face, markersize=6
            )
        for each in ends:
            drawn.tag(each, [look])
    rows(axis, [looks[name].label for name in names])
    up_to_100(axis)
    parts = ("mean test accuracy (%) where the start did not win", "hollow: published start, filled: winner")
    name_scale(drawn, axis, "; ".join(parts), width)
    return drawn


def tuning_curves(of: Computed) -> Picture | str:
    """Show the best validation accuracy that a part of the budget would have found."""
    trials = of.runs[of.runs["stage"] == Stage.TRIAL]
    if not len(trials):
        return ""
    if of.source.definition.replicates > 1:
        return "tuning curves (shown for a single search only)"
    found = []
    for name in of.optimizers:
        mine = trials[trials["optimizer"] == name].sort_values("number")
        completed = mine["outcome"] == Outcome.COMPLETED
        if completed.sum() < LEAST_COMPLETED:
            continue
        accuracies = mine["validation_accuracy"].astype(float).where(completed, math.nan)
        begins = published_start(of.source.definition, name) is not None
        curve = tuning_curve(list(zip(mine["spent"].astype(float), accuracies, strict=True)), begins)
        if curve is not None:
            found.append(pd.DataFrame(curve.model_dump()).assign(optimizer=name))
    if not found:
        return f"tuning curves (fewer than {LEAST_COMPLETED} completed trials of each optimizer)"
    data = pd.concat(found, ignore_index=True)
    return Picture(data, _said_of_curves(data), partial(_draw_curves, looks(of.optimizers)))


def _said_of_curves(data: pd.DataFrame) -> str:
    lost = {}
    for name, mine in data.groupby("optimizer", sort=False):
        half = mine[mine["at"] <= mine["at"].max() / 2]
        lost[str(name)] = 100 * (mine["median"].iloc[-1] - (half["median"].max() if len(half) else 0.0))
    most = max(lost.values())
    names = ", ".join(names_at(lost, most))
    return f"With half the budget the median search loses at most {most:.2f} points of validation accuracy ({names})."


def _draw_curves(looks: Looks, data: pd.DataFrame, width: Width) -> Drawn:
    drawn = figure(width, 2.6)
    axis = drawn.subplots()
    for name, mine in data.groupby("optimizer", sort=False):
        look = looks[str(name)]
        percents = mine.assign(**{each: 100 * mine[each] for each in ("median", "low", "high")})
        band = axis.fill_between(
            percents["at"], percents["low"], percents["high"], color=look.colour, alpha=0.14, linewidth=0, step="post"
        )
        sns.lineplot(percents, x="at", y="median", drawstyle="steps-post", estimator=None, ax=axis, color=look.colour)
        drawn.tag(band, [look])
        drawn.tag(axis.lines[-1], [look])
    found = 100 * data.groupby("optimizer")["median"].last()
    lowest = min(found.min(), 100 * data["median"].quantile(0.25))
    margin = max(0.5, 0.08 * (found.max() - lowest))
    axis.set_ylim(lowest - margin, found.max() + margin)
    axis.ticklabel_format(axis="y", useOffset=False)
    axis.set(xlabel="epochs of trials spent", ylabel="best validation accuracy (%)")
    legend(drawn, dict.fromkeys(data["optimizer"]), looks, width)
    return drawn


def importances(of: Computed) -> Picture | str:
    """Show the importance of each hyperparameter, as the sweep recorded it."""
    shares = of.source.importances
    if not shares:
        return _why_no_importances(of)
    data = pd.DataFrame([*shares.values()], index=pd.Index([*shares], name="optimizer"))
    most = ", ".join(
        f"{' and '.join(names_at(row.to_dict(), row.max()))} for {name} ({row.max():.0%})"
        for name, row in data.iterrows()
    )
    return Picture(data, f"The most important: {most}.", _draw_importances)


def _why_no_importances(of: Computed) -> str:
    trials = of.runs[of.runs["stage"] == Stage.TRIAL]
    if not len(trials):
        return ""
    completed = trials[trials["outcome"] == Outcome.COMPLETED].groupby(["optimizer", "replicate"]).size()
    if completed.max() >= LEAST_FOR_IMPORTANCE:
        if outcome_of(of.source.sweep) != Outcome.COMPLETED:
            return "importances (computed when the sweep has completed)"
        return "importances (the best trials of no search differ from the others)"
    each = "search" if of.source.definition.replicates > 1 else "optimizer"
    return f"importances (fewer than ten completed trials of each {each})"


def _draw_importances(data: pd.DataFrame, width: Width) -> Drawn:
    upright = len(data.columns) > (4 if width == "column" else 9)  # else the names would overlap
    drawn = figure(width, (1.6 if upright else 0.9) + 0.24 * len(data))
    axis = drawn.subplots()
    ink = {"color": INK, "fontsize": 8}
    sns.heatmap(data, ax=axis, annot=True, fmt=".0%", cmap=tint(COLOURS[0]), cbar=False, vmin=0, annot_kws=ink)
    names = data.columns if upright else [key.replace(".", ".\n", 1) for key in data.columns]
    axis.set_xticklabels(names, rotation=90 if upright else 0, fontsize=7)
    axis.set_yticklabels([drawable(str(name)) for name in data.index], rotation=0)
    axis.set_ylabel("")
    axis.grid(visible=False)
    return drawn


def outcomes(of: Computed) -> Picture | str:
    """Show how the trials of each optimizer ended; return text if they ended alike for all."""
    data = of.summary.set_index("optimizer").loc[list(of.optimizers), TRIAL_OUTCOMES].astype(int)
    if not data.to_numpy().sum():
        return ""
    total = data.sum()
    said = ", ".join(f"{count} {outcome}" for outcome, count in total.items() if count)
    if len(data) > 1 and (data == data.iloc[0]).all(axis=None):
        return f"outcomes of the trials (the same for every optimizer; of {total.sum()} trials, {said})"
    return Picture(data, f"Of {total.sum()} trials, {said}.", _draw_outcomes)


def _draw_outcomes(data: pd.DataFrame, width: Width) -> Drawn:
    drawn = figure(width, 0.85 + 0.22 * len(data))
    axis = drawn.subplots()
    left = np.zeros(len(data))
    for outcome, colour in OUTCOME_COLOURS.items():
        counts = data[outcome].to_numpy()
        if counts.any():
            axis.barh(range(len(data)), counts, left=left, color=colour, label=outcome, height=0.7, alpha=0.35)
            for row in np.flatnonzero(counts):
                axis.text(left[row] + counts[row] / 2, int(row), str(counts[row]), ha="center", va="center")
        left += counts
    rows(axis, [drawable(str(name)) for name in data.index])
    axis.set_xlabel("trials")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(visible=False)
    drawn.legend(loc="outside upper left", ncols=4, frameon=False)
    return drawn
