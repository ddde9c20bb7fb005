"""Show accuracy against cost: the test error of each final by its training seconds, and by images to a target."""

import textwrap
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from harness.colours import GREY
from reports.computed import Computed
from reports.figures.style import (
    COLUMN_SIGNS,
    Drawn,
    Looks,
    Picture,
    Width,
    about_zero,
    dots,
    legend,
    logarithmic,
    looks,
    lowest_shown,
    panels,
    tip,
    tuples,
)
from reports.targets import judged_target

AXES = {"seconds": "training seconds of a final", "images": "{things} until {target:.1%} validation accuracy"}
ROUNDING = 1e-9  # means whose ratio is this near to 1 are equal
MISSED = "\n(no mean if a final did not get there)"


def cost(of: Computed) -> Picture | str:
    """Show the cost of each final's accuracy, the mean of each optimizer, and the means that none surpasses."""
    finals = of.measured_finals[of.measured_finals["train_seconds"].notna()]
    if not len(finals) or len(of.optimizers) < 2:
        return ""
    data = finals[["run_id", "optimizer", "seed"]].assign(
        error=100 * (1 - finals["test_accuracy"].astype(float)), seconds=finals["train_seconds"] * finals["epochs"]
    )
    target = judged_target(of.winners)
    missed: list[str] = []
    if target is not None:
        reached = of.targets[np.isclose(of.targets["target"], target)]
        missed = reached.loc[np.isinf(reached["images"]), "optimizer"].unique().tolist()
        data = data.merge(reached[["run_id", "images"]], on="run_id", how="left")
        data = data if np.isfinite(data["images"]).any() else data.drop(columns="images")
    data["tip"] = [
        tip(f"{each.optimizer}, seed {each.seed}: error {each.error:.2f}%, {each.seconds:.3g} s", each.run_id)
        for each in tuples(data)
    ]
    means = data.groupby("optimizer", sort=False)[["error", "seconds"]].mean()
    finding = (
        f"No optimizer surpasses these in both mean error and training time: {', '.join(_front(means, 'seconds'))}."
        f"{about_zero(data['error'])}"
    )
    return Picture(data, finding, partial(_draw, looks(of.optimizers), target, missed, of.things))


def _front(means: pd.DataFrame, cost: str) -> list[str]:
    """Return the optimizers on the Pareto front of error and cost, the cheapest first.

    An optimizer is on it if no other is at least as good in both and better in one. Equal optimizers are both on it.
    """
    ordered = means.sort_values([cost, "error"])
    values = ordered[["error", cost]].to_numpy()
    as_good = [(values <= each * (1 + ROUNDING)).all(axis=1) for each in values]
    better = [(values < each * (1 - ROUNDING)).any(axis=1) for each in values]
    surpassed = [(each & other).any() for each, other in zip(as_good, better, strict=True)]
    return [str(name) for name, is_surpassed in zip(ordered.index, surpassed, strict=True) if not is_surpassed]


def _draw(
    looks: Looks, target: float | None, missed: Sequence[str], things: str, data: pd.DataFrame, width: Width
) -> Drawn:
    """Draw a panel for each cost. An optimizer in `missed` has a final that did not reach the target."""
    shown = [name for name in AXES if name in data]
    drawn, axes = panels(width, len(shown), 2.2, most=2)
    for axis, name in zip(axes, shown, strict=True):
        without_mean = missed if name == "images" else ()
        _draw_one(drawn, axis, data, name, looks, without_mean)
        text = AXES[name].format(target=target, things=things) + (MISSED if without_mean else "")
        axis.set_xlabel(text if width == "page" else textwrap.fill(text, COLUMN_SIGNS // 2))
    axes[0].set_ylabel("test error (%, log)")
    legend(drawn, dict.fromkeys(data["optimizer"]), looks, width)
    return drawn


def _draw_one(
    drawn: Drawn, axis: Axes, data: pd.DataFrame, cost: str, looks: Looks, without_mean: Sequence[str]
) -> None:
    least = lowest_shown(data["error"])
    errors, data = data["error"].clip(lower=least), data[np.isfinite(data[cost])]
    dots(drawn, axis, data.assign(error=data["error"].clip(lower=least)), cost, "error", looks, alpha=0.45, s=12)
    means = data.groupby("optimizer", sort=False)[["error", cost]].mean()
    means = means[~means.index.isin(without_mean)]
    means["error"] = means["error"].clip(lower=least)
    if len(means):
        dots(drawn, axis, means.reset_index(), cost, "error", looks, alpha=1, s=60)
        front = means.loc[_front(means, cost)]
        axis.step(front[cost], front["error"], where="post", color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    axis.dataLim.intervaly = (errors.min(), errors.max())  # the panels share the scale
    logarithmic(axis, "y")
    if data[cost].max() > 3 * data[cost].min():
        logarithmic(axis, "x")
    axis.set_ylabel("")
