"""Show training time: seconds per epoch, images to target accuracies, and how often each optimizer is fastest."""

from functools import partial

import numpy as np
import pandas as pd
import seaborn as sns

from reports.computed import Computed
from reports.curves import performance_profile
from reports.figures.style import (
    Drawn,
    Looks,
    Picture,
    Width,
    dots,
    figure,
    interval,
    legend,
    logarithmic,
    looks,
    name_scale,
    panels,
    rows,
    tuples,
)
from reports.statistics import names_at
from reports.targets import horizons, origin_of_targets

LEAST_PROBLEMS = 20  # combinations of target and seed that a performance profile needs


def epoch_seconds(of: Computed) -> Picture | str:
    """Show the training seconds of every epoch of the finals, the fastest optimizer first."""
    finals = set(of.runs.loc[of.runs["stage"] == "final", "run_id"])
    data = of.epochs[of.epochs["run_id"].isin(finals) & of.epochs["train_seconds"].notna()]
    if not len(data):
        return ""
    pace = of.pace.assign(row=of.pace.index)
    data = data[["run_id", "optimizer", "seed", "epoch", "train_seconds"]].merge(pace, on="optimizer")
    data["tip"] = [
        f"{each.optimizer}, seed {each.seed}, epoch {each.epoch}: {each.train_seconds:.3g} s" for each in tuples(data)
    ]
    finding = of.pace_in_words
    if len(set(of.epoch_images.values())) > 1:
        finding += f" Their epochs have different numbers of {of.things}."
    return Picture(data.sort_values("row"), finding, partial(_draw_seconds, looks(of.optimizers)))


def _draw_seconds(looks: Looks, data: pd.DataFrame, width: Width) -> Drawn:
    ranked = data.drop_duplicates("optimizer")
    drawn = figure(width, 0.6 + 0.24 * len(ranked))
    axis = drawn.subplots()
    dots(drawn, axis, data, "train_seconds", "row", looks, alpha=0.5)
    for each in tuples(ranked):
        look = looks[str(each.optimizer)]
        if not pd.isna(each.low):
            interval(drawn, axis, float(each.row) + 0.3, (float(each.low), float(each.high)), look.colour, [look])
    rows(axis, [looks[name].label for name in ranked["optimizer"]])
    axis.set_xlim(0, None)
    parts = ["training seconds per epoch; point: one epoch"]
    parts += ["line: 95% interval of the mean"] if ranked["low"].notna().any() else []
    name_scale(drawn, axis, ", ".join(parts), width)
    return drawn


def time_to_target(of: Computed) -> Picture | str:
    """Show, for each target, the share of finals that have not reached it, by training images seen."""
    data = of.targets
    if not len(data) or not np.isfinite(data["images"]).any():
        return "time to a target (no final reached one)" if len(data) else ""
    horizon = max(horizons(of.source.definition).values())
    source = origin_of_targets(of.source.definition, of.winners)
    finding = f"{_said_of_targets(data, of.things)} The targets are {of.split} accuracies, {source}."
    return Picture(data, finding, partial(_draw_targets, looks(of.optimizers), horizon, of.things))


def _said_of_targets(data: pd.DataFrame, things: str) -> str:
    said = []
    for target, at in data.groupby("target"):
        medians = at.groupby("optimizer", sort=False)["images"].median()
        reached = f"{float(str(target)):.1%}"
        if np.isfinite(medians.min()):
            first = ", ".join(names_at(medians.to_dict(), medians.min()))
            said.append(f"{reached}: the lowest median is {medians.min():,.0f} {things} ({first})")
        else:
            said.append(f"{reached}: no optimizer reached it in half of its finals")
    return "; ".join(said) + "."


def _draw_targets(looks: Looks, horizon: float, things: str, data: pd.DataFrame, width: Width) -> Drawn:
    targets = sorted(data["target"].unique())
    drawn, axes = panels(width, len(targets), 1.9)
    reached, names = data[np.isfinite(data["images"])], list(dict.fromkeys(data["optimizer"]))
    for axis, target in zip(axes, targets, strict=True):
        mine = data[data["target"] == target]
        # the line of a final that missed the target stays until the end of the scale
        sns.ecdfplot(
            mine.assign(images=mine["images"].clip(upper=10 * horizon)),
            x="images",
            hue="optimizer",
            hue_order=names,
            palette={name: looks[name].colour for name in names},
            complementary=True,
            stat="percent",
            ax=axis,
            linewidth=1.4,
            legend=False,
        )
        for line, name in zip(reversed(axis.lines), names, strict=True):  # seaborn draws the last name first
            drawn.tag(line, [looks[name]], name)
        axis.set(title=f"{100 * target:g}%", ylim=(-3, 103), xlabel=f"training {things} seen (log)", ylabel="")
        axis.dataLim.intervalx = (reached["images"].min() / 1.3, horizon)
        logarithmic(axis, "x")
    drawn.supylabel("finals below the target (%)", fontsize=8)
    legend(drawn, dict.fromkeys(data["optimizer"]), looks, width)
    return drawn


def profile(of: Computed) -> Picture | str:
    """Show how often each optimizer is within a factor of the fastest, over targets and common seeds."""
    table = of.targets.pivot_table(index=["target", "seed"], columns="optimizer", values="images", dropna=False)
    table = table.dropna()
    if len(table.columns) < 2 or not np.isfinite(table.to_numpy()).any():
        return ""
    if len(table) < LEAST_PROBLEMS:
        return f"performance profile ({len(table)} combinations of target and seed, fewer than {LEAST_PROBLEMS})"
    steps = performance_profile({name: table[name].tolist() for name in of.optimizers if name in table})
    data = pd.DataFrame(
        [(name, factor, 100 * share) for name, of_name in steps.items() for factor, share in of_name],
        columns=["optimizer", "factor", "share"],
    )
    return Picture(data, _said_of_profile(data, len(table)), partial(_draw_profile, looks(of.optimizers), of.things))


def _said_of_profile(data: pd.DataFrame, problems: int) -> str:
    """Say which optimizers are the fastest in the most combinations, and which reach the target in the most."""
    by_factor = data.groupby("optimizer", sort=False)["share"]
    first, last = by_factor.first().to_dict(), by_factor.last().to_dict()
    fastest, most = names_at(first, max(first.values())), names_at(last, max(last.values()))
    is_fastest = "is the fastest" if len(fastest) == 1 else "are each the fastest"
    reach = "reaches" if len(most) == 1 else "each reach"
    return (
        f"{', '.join(fastest)} {is_fastest} in {max(first.values()):.0f}% of the {problems} combinations of target "
        f"and seed; {', '.join(most)} {reach} the target in the most of them, {max(last.values()):.0f}%."
    )


def _draw_profile(looks: Looks, things: str, data: pd.DataFrame, width: Width) -> Drawn:
    drawn = figure(width, 2.4)
    axis = drawn.subplots()
    for name, mine in data.groupby("optimizer", sort=False):
        look = looks[str(name)]
        sns.lineplot(mine, x="factor", y="share", drawstyle="steps-post", estimator=None, ax=axis, color=look.colour)
        drawn.tag(axis.lines[-1], [look], str(name))
    axis.set(
        ylim=(-3, 103),
        xlabel=f"{things} until the target, relative to the fastest",
        ylabel="targets reached, over seeds (%)",
    )
    legend(drawn, dict.fromkeys(data["optimizer"]), looks, width)
    return drawn
