"""Show every trial by its searched values: by learning rate, and by each other hyperparameter."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.colours import GREY, INK
from harness.config import RATE_KEYS
from harness.records import Stage
from reports.computed import Computed
from reports.figures.style import (
    DOT,
    MOST_VECTORS,
    Drawn,
    Looks,
    Picture,
    Width,
    about_zero,
    logarithmic,
    looks,
    lowest_shown,
    panels,
    tip,
)
from studies.replicates import is_published_start
from studies.space import Range

START = "\0start"  # marks the published start; no optimizer has this name
SAME_PLACE = 0.02  # epochs; a trial that stopped so near to a milestone counts as stopped there
FEW = 6  # up to this many values are drawn as categories, at equal distances
Key = tuple[str, str]  # optimizer, config key


def learning_rates(of: Computed) -> Picture | str:
    """Show every trial by its learning rate, one panel per optimizer."""
    keys = [(name, key) for name, key in _searched(of) if key in RATE_KEYS]
    data = _trials(of, keys)
    if not len(data):
        return ""
    edges = {
        (name, edge.key): edge.next_step for name, won in of.winners.items() for each in won for edge in each.edges
    }
    ranges = {name: each.ends for name, key in keys if isinstance(each := _dimension(of, name, key), Range)}
    titles = {
        name: looks(of.optimizers)[name].label + (f" (edge: {edges[name, key]})" if (name, key) in edges else "")
        for name, key in keys
    }
    said = ", ".join(
        f"{name} {' and '.join(f'{value:.2g}' for value in sorted(set(mine['value'])))}"
        + (f" (at an edge: {edges[name, key]})" if (name, key) in edges else "")
        for name, key in keys
        if len(mine := data[data["won"] & (data["optimizer"] == name)])
    )
    finding = f"Learning rates of the winners: {said}." if said else "No trial has won."
    finding += about_zero(data["error"])
    data = data.assign(panel=data["optimizer"])
    label = "learning rate (log)" if data["log"].any() else "learning rate"
    return Picture(data, finding, partial(_draw, looks(of.optimizers), titles, ranges, label))


def others(of: Computed) -> Picture | str:
    """Show every trial by each other searched hyperparameter, one panel each."""
    data = _trials(of, [(name, key) for name, key in _searched(of) if key not in RATE_KEYS])
    if not len(data):
        return ""
    won = data[data["won"]]
    said = "; ".join(
        f"{key}: {', '.join(dict.fromkeys(_short(value) for value in mine['value']))}"
        for key, mine in won.groupby("key", sort=False)
    )
    finding = f"The winners' values: {said}." if said else "No trial has won."
    finding += about_zero(data["error"])
    data = data.assign(panel=data["key"])
    titles = {str(key): str(key) for key in data["key"].unique()}
    return Picture(data, finding, partial(_draw, looks(of.optimizers), titles, {}, ""))


def _searched(of: Computed) -> list[Key]:
    return [(name, key) for name in of.optimizers for key in of.source.definition.searched(name)]


def _dimension(of: Computed, name: str, key: str) -> Any:  # noqa: ANN401
    return of.source.definition.searched(name)[key]


def _trials(of: Computed, keys: Sequence[Key]) -> pd.DataFrame:
    """Return one row per trial and key: value, error (%), epochs trained, winner or not, published start or not."""
    trials = of.runs[(of.runs["stage"] == Stage.TRIAL)]
    won = {each.run_id for winners in of.winners.values() for each in winners}
    found = []
    for name, key in keys:
        is_log = isinstance(dimension := _dimension(of, name, key), Range) and dimension.is_log_in_value
        for row in trials[trials["optimizer"] == name].to_dict("records"):
            settings: Mapping[str, Any] = of.settings.get(row["run_id"], {})
            accuracy = 0.0 if row["outcome"] == "diverged" else row["validation_accuracy"]
            if key not in settings or pd.isna(accuracy):
                continue
            found.append(
                {
                    "optimizer": name,
                    "key": key,
                    "value": _number(settings[key]),
                    "error": 100 * (1 - float(accuracy)),
                    "epochs": _milestone(row["epochs"], of.source.definition.milestones),
                    "outcome": row["outcome"],
                    "won": row["run_id"] in won,
                    "is_start": is_published_start(of.source.definition, name, settings),
                    "log": is_log,
                    "tip": tip(
                        f"{name}, trial {row['number']}: {key} {_short(_number(settings[key]))}, error "
                        f"{100 * (1 - float(accuracy)):.2f}% after {row['epochs']:.3g} epochs",
                        row["run_id"],
                    ),
                }
            )
    columns = ["optimizer", "key", "value", "error", "epochs", "outcome", "won", "is_start", "log", "tip"]
    return pd.DataFrame(found, columns=columns)


def _draw(
    looks: Looks,
    titles: Mapping[str, str],
    ranges: Mapping[str, tuple[float, float]],
    label: str,
    data: pd.DataFrame,
    width: Width,
) -> Drawn:
    data = data.assign(error=data["error"].clip(lower=lowest_shown(data["error"])))
    drawn, axes = panels(width, data["panel"].nunique(), 1.5, extra=0.7)
    reached = sorted(data["epochs"].unique())
    colours = dict(zip(reached, sns.color_palette("flare", len(reached)).as_hex(), strict=True))
    for axis, (panel, mine) in zip(axes, data.groupby("panel", sort=False), strict=True):
        if str(panel) in ranges:
            axis.axvspan(*ranges[str(panel)], color=GREY, alpha=0.12, linewidth=0)
        _draw_panel(drawn, axis, mine, looks, colours, rasterized=len(data) > MOST_VECTORS)
        if mine["log"].any():
            logarithmic(axis, "x", dense=1.3, most=4 if width == "page" else 3)
        axis.set_title(titles[str(panel)] if width == "page" else titles[str(panel)].replace(" (", "\n("))
        axis.set(xlabel="", ylabel="")
    logarithmic(axes[0], "y")
    low, high = data["error"].min(), data["error"].max()
    axes[0].set_ylim(low / 1.3, high * 1.3)
    drawn.supylabel("validation error (%, log)", fontsize=8)
    if label:
        drawn.supxlabel(label, fontsize=8)
    _legend(
        drawn, {f"{each:.3g} epoch{'' if each <= 1 else 's'}": colours[each] for each in reached[:6]}, data, width
    )
    return drawn


def _draw_panel(
    drawn: Drawn, axis: Axes, data: pd.DataFrame, looks: Looks, colours: Mapping[float, str], *, rasterized: bool
) -> None:
    """Draw one point per trial, coloured by its epochs: a star for the published start, a ring around a winner."""
    values = sorted(data["value"].unique(), key=lambda value: (isinstance(value, str), value))
    if not data["log"].any() and (len(values) <= FEW or isinstance(values[-1], str)):
        # draw as categories, in this order
        axis.xaxis.update_units([_short(value) for value in values])  # type: ignore[no-untyped-call]
        data = data.assign(value=data["value"].map(_short))
    names = list(dict.fromkeys(data["optimizer"]))
    sns.scatterplot(
        data,
        x="value",
        y="error",
        ax=axis,
        hue="epochs",
        palette=dict(colours),
        style=data["optimizer"].where(~data["is_start"], START),
        markers={name: looks[name].marker for name in names} | {START: "*"},
        size="is_start",
        sizes={False: DOT, True: 3 * DOT},
        linewidth=0,
        legend=False,
        rasterized=rasterized,
    )
    drawn.tag_points(axis.collections[-1], [looks[name] for name in data["optimizer"]], data["tip"])
    won = data[data["won"]]
    axis.scatter(won["value"], won["error"], s=4 * DOT, facecolors="none", edgecolors=INK, linewidths=0.8)
    axis.margins(x=0.15 if len(values) <= FEW else 0.05)


def _legend(drawn: Drawn, reached: Mapping[str, str], data: pd.DataFrame, width: Width) -> None:
    handles = [Line2D([], [], marker="o", linestyle="", color=colour, label=text) for text, colour in reached.items()]
    if data["is_start"].any():
        handles.append(Line2D([], [], marker="*", linestyle="", color=GREY, markersize=7, label="published start"))
    if data["won"].any():
        ring = Line2D(
            [], [], marker="o", linestyle="", color=INK, markerfacecolor="none", markersize=7, label="winner"
        )
        handles.append(ring)
    columns = 6 if width == "page" else 3
    drawn.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False, handletextpad=0.1)


def _milestone(epochs: float, milestones: Sequence[float]) -> float:
    """Return the rung or end of an epoch at which a trial stopped; with large batches it stops slightly beside it."""
    nearest = min(milestones, key=lambda each: abs(each - epochs))
    return nearest if abs(nearest - epochs) < SAME_PLACE else round(epochs, 2)


def _number(value: Any) -> float | str:  # noqa: ANN401
    """Return a config's value as a float if it is a number, else its text."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _short(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() and value < 1e6 else f"{value:.3g}"
