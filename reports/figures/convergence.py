"""Show convergence: training loss and validation error of the finals, against images or against seconds."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from harness.colours import GREY
from reports.computed import Computed
from reports.figures.style import (
    Drawn,
    Looks,
    Picture,
    Width,
    about_zero,
    figure,
    legend,
    logarithmic,
    looks,
    lowest_shown,
)
from reports.statistics import names_at
from reports.trajectories import median_lines

LEAST_LOSS = 1e-6  # nats; smaller losses are drawn here
MEASURES = {"training loss": "training loss (nats, log)", "error": "{split} error (%, log)"}


def convergence(of: Computed) -> Picture | str:
    """Show the finals against the number of training images seen."""
    return _convergence(of, "images")


def convergence_in_seconds(of: Computed) -> Picture | str:
    """Show the finals against seconds of training, at their optimizer's mean seconds per epoch."""
    return _convergence(of, "seconds")


def _convergence(of: Computed, against: str) -> Picture | str:
    data = of.convergence
    if against == "seconds":
        pace = data["optimizer"].map(of.seconds).astype(float)
        data = data.assign(seconds=data["epochs"] * pace)
        data = data[data["seconds"].notna()]
        if not len(data):
            return ""
    elif not len(data):
        return "convergence (no final was measured that did not diverge or fail)"
    sizes = of.epoch_images
    data = data.assign(images=data["epochs"] * data["optimizer"].map(sizes))
    epoch = max(sizes.values()) if against == "images" and len(set(sizes.values())) == 1 else None
    return Picture(
        data, _finding(data, of.split), partial(_draw, looks(of.optimizers), of.split, against, epoch, of.things)
    )


def _finding(data: pd.DataFrame, split: str) -> str:
    """Say which optimizer leads at the end, and which after the first epoch."""
    errors = data[data["measure"] == "error"]
    if not len(errors):
        return f"No {split} error was measured.{_about_small(data)}"
    medians = errors.groupby(["optimizer", "epochs"], sort=False)["value"].median().reset_index()
    ordered = medians.sort_values("epochs")
    names, least = _lowest(ordered.groupby("optimizer").tail(1))
    several = errors["optimizer"].nunique() > 1
    if several:
        have = "has" if len(names) == 1 else "have"
        said = f"{', '.join(names)} {have} the lowest median {split} error at the end, {least:.2f}%"
    else:
        said = f"{names[0]} has a median {split} error of {least:.2f}% at the end"
    first = ordered[ordered["epochs"] >= 1]
    if errors["epochs"].max() > 1 and len(first):
        names, least = _lowest(first.groupby("optimizer").head(1))
        they = "it is" if len(names) == 1 else "they are"
        which = f"{they} {', '.join(names)}, " if several else ""
        said += f"; after the first epoch {which}{least:.2f}%"
    return f"{said}.{about_zero(errors['value'])}{_about_small(data)}"


def _about_small(data: pd.DataFrame) -> str:
    """Return the sentence on training losses too small for a logarithmic scale; empty if there are none."""
    is_small = (data["measure"] == "training loss") & (data["value"] < LEAST_LOSS)
    return f" A training loss below {LEAST_LOSS:g} is drawn there." if is_small.any() else ""


def _lowest(medians: pd.DataFrame) -> tuple[list[str], float]:
    """Return all optimizers with the lowest error, and that error (%)."""
    least = float(medians["value"].min())
    return sorted(names_at(dict(zip(medians["optimizer"], medians["value"], strict=True)), least)), least


def _draw(
    looks: Looks, split: str, against: str, epoch: int | None, things: str, data: pd.DataFrame, width: Width
) -> Drawn:
    measures = [name for name in MEASURES if (data["measure"] == name).any()]
    across = width == "page" and len(measures) > 1
    drawn = figure(width, 2.9 if across else 0.5 + 2.2 * len(measures))
    axes = drawn.subplots(1, 2, squeeze=False) if across else drawn.subplots(len(measures), 1, squeeze=False)
    for axis, measure in zip(axes.flatten(), measures, strict=True):
        mine = data[data["measure"] == measure]
        least = LEAST_LOSS if measure == "training loss" else lowest_shown(mine["value"])
        _draw_measure(drawn, axis, mine.assign(value=mine["value"].clip(lower=least)), against, looks)
        logarithmic(axis, "x")
        logarithmic(axis, "y")
        ends = range(epoch, int(data["images"].max()) + 1, epoch) if epoch else ()
        for end in ends[:20]:
            axis.axvline(end, color=GREY, linewidth=0.6, linestyle=":")
        dotted = "; dotted: end of an epoch" if len(ends) > 1 else ""
        axis.set_xlabel(
            f"training {things} seen (log{dotted})" if against == "images" else "seconds of training (log)"
        )
        axis.set_ylabel(MEASURES[measure].format(split=split))
    legend(drawn, dict.fromkeys(data["optimizer"]), looks, width)
    return drawn


def _draw_measure(drawn: Drawn, axis: Axes, data: pd.DataFrame, against: str, looks: Looks) -> None:
    """Draw a thin line for each seed and a thick line for their median."""
    runs = data.groupby("optimizer", sort=False)["run_id"].nunique()
    names = [str(name) for name in runs.index]
    shared: dict[str, Any] = {"x": against, "y": "value", "ax": axis, "hue": "optimizer", "hue_order": names}
    shared |= {"palette": {name: looks[name].colour for name in names}, "legend": False}
    sns.lineplot(data, units="run_id", estimator=None, linewidth=0.6, alpha=0.5, **shared)
    medians = median_lines(data, against)
    sns.lineplot(medians, estimator=None, linewidth=1.7, **shared)
    of_lines = [name for name in names for _ in range(runs[name])] + names  # in the order in which seaborn draws
    for line, name in zip(axis.lines, of_lines, strict=True):
        drawn.tag(line, [looks[name]])
    for line, name in zip(axis.lines[-len(names) :], names, strict=True):
        if np.size(line.get_xdata()) < 4:  # a line of a single point would be invisible
            line.set_marker(looks[name].marker)
