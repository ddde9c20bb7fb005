"""Show the final accuracy by optimizer: every seed, the mean with its interval, and the majority class's share."""

from functools import partial

import pandas as pd

from harness.colours import GREY
from reports.caveats import Majority
from reports.columns import is_known
from reports.computed import Computed
from reports.figures.style import (
    Drawn,
    Looks,
    Picture,
    Width,
    dots,
    figure,
    interval,
    looks,
    name_scale,
    rows,
    tip,
    tuples,
    up_to_100,
)
from reports.statistics import names_at
from studies.requirements import LEAST_UNITS


def final_accuracy(of: Computed) -> Picture | str:
    """Show the finals of every optimizer that has any, the best mean first."""
    summary = of.summary[of.summary["seeds"] > 0].reset_index(drop=True)
    if not len(summary):
        return "final accuracy (no final completed)"
    ranked = summary.assign(row=summary.index)[["optimizer", "row", "mean", "low", "high", "edges"]]
    data = (
        of.measured_finals[["run_id", "optimizer", "seed", "test_accuracy"]]
        .merge(ranked, on="optimizer")
        .sort_values("row")
    )
    percents = ["test_accuracy", "mean", "low", "high"]
    data[percents] = 100 * data[percents].astype(float)
    data["tip"] = [
        tip(f"{each.optimizer}, seed {each.seed}: {each.test_accuracy:.2f}%", each.run_id) for each in tuples(data)
    ]
    return Picture(
        data, _finding(data, of.against.majority), partial(_draw, looks(of.optimizers), of.against.majority)
    )


def _finding(data: pd.DataFrame, majority: Majority | None) -> str:
    means = dict(zip(data["optimizer"], data["mean"], strict=True))
    highest, lowest = max(means.values()), min(means.values())
    best, worst = names_at(means, highest), names_at(means, lowest)
    counts = data.loc[data["optimizer"].isin(best), "optimizer"].value_counts()
    seeds = str(counts.max()) if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    over = f"{highest:.2f}% over {seeds} seed{'' if counts.max() == 1 else 's'}"
    have = "has" if len(best) == 1 else "have"
    if len(means) == 1:
        text = f"{best[0]} has a mean test accuracy of {over}"
    else:
        text = f"{', '.join(best)} {have} the highest mean test accuracy, {over}"
    if best != worst:
        text += f"; {', '.join(worst)} the lowest, {lowest:.2f}%"
    if majority is not None:
        text += f". Always predicting class {majority.name} would give {majority.share:.2%}"
    return f"{text}."


def _draw(looks: Looks, majority: Majority | None, data: pd.DataFrame, width: Width) -> Drawn:
    ranked = data.drop_duplicates("optimizer")
    drawn = figure(width, 0.65 + 0.26 * len(ranked))
    axis = drawn.subplots()
    dots(drawn, axis, data, "test_accuracy", "row", looks)
    enough = data.groupby("optimizer").size().max() >= LEAST_UNITS
    known = {row["optimizer"] for row in ranked.to_dict("records") if enough and is_known(row)}
    for each in tuples(ranked):
        look = looks[str(each.optimizer)]
        (mean,) = axis.plot([each.mean, each.mean], [each.row - 0.2, each.row + 0.3], color=look.colour, linewidth=2)
        drawn.tag(mean, [look])
        if each.optimizer in known:
            interval(drawn, axis, float(each.row) + 0.3, (float(each.low), float(each.high)), look.colour, [look])
    up_to_100(axis)
    low, high = axis.get_xlim()
    if majority is not None and low < 100 * majority.share < high:
        axis.axvline(100 * majority.share, linestyle=":", linewidth=1, color=GREY)
    rows(axis, [looks[each.optimizer].label + ("*" if each.edges else "") for each in tuples(ranked)])
    parts = [f"test accuracy (%){', not from 0' if low > 0 else ''}; point: one seed", "upright line: mean"]
    parts += ["below: its 95% interval"] if known else []
    name_scale(drawn, axis, ", ".join(parts), width)
    return drawn
