"""The report's figures, drawn from tidy frames: convergence, final accuracy, training time."""

import io
import math
from collections.abc import Collection, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reports.statistics import LEAST_SEEDS, summarize

# Wong's colour-blind-safe palette (Nature Methods 2011); one colour and one marker per optimizer on every figure
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]


def styles(optimizers: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of every optimizer."""
    return {
        name: (COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]) for index, name in enumerate(optimizers)
    }


def convergence(epochs: pd.DataFrame, optimizers: Sequence[str]) -> Figure:
    """Validation loss and accuracy of the finals against epochs and training seconds: median, seeds faintly."""
    finals = epochs[epochs["stage"] == "final"]
    if not len(finals):
        return _nothing_yet()
    figure = Figure(figsize=(9.6, 6.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col", sharey="row")
    measures = [
        ("validation_loss", "validation loss (nats, log)"),
        ("validation_accuracy", "validation accuracy (%)"),
    ]
    for row, (measure, label) in enumerate(measures):
        scale = 100 if measure.endswith("accuracy") else 1
        for column, (time, time_label) in enumerate([("epoch", "epoch"), ("trained_seconds", "training seconds")]):
            axis = axes[row][column]
            for name, (colour, marker) in styles(optimizers).items():
                mine = finals[finals["optimizer"] == name]
                for _, run in mine.groupby("run_id", sort=False):
                    axis.plot(run[time], run[measure] * scale, color=colour, linewidth=0.8, alpha=0.35)
                median = mine.groupby("epoch")[[time, measure] if time != "epoch" else [measure]].median()
                at = median.index if time == "epoch" else median[time]
                axis.plot(
                    at, median[measure] * scale, color=colour, marker=marker, markersize=5, linewidth=2, label=name
                )
            if row == 0:
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter("{x:g}")
                axis.yaxis.set_minor_formatter("{x:g}")
            else:
                axis.set_xlabel(time_label)
            if column == 0:
                axis.set_ylabel(label)
        axes[row][0].xaxis.get_major_locator().set_params(integer=True)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    sns.despine(fig=figure)
    return figure


def final_accuracy(runs: pd.DataFrame, optimizers: Sequence[str], not_fully_tuned: Collection[str] = ()) -> Figure:
    """Test accuracy of every final as a point, the mean and its 95% interval as lines."""
    finals = runs[(runs["stage"] == "final") & (runs["outcome"] == "completed")]
    enough = finals["optimizer"].value_counts().max() >= LEAST_SEEDS
    interval = ", below it its 95% interval" if enough else ""
    label = f"test accuracy (%): each point a seed, the line their mean{interval}"
    figure = _dots(runs, optimizers, "test_accuracy", 100, label, True)
    for axis in figure.axes:
        names = [text.get_text() for text in axis.get_yticklabels()]
        axis.set_yticks(axis.get_yticks(), [f"{name}*" if name in not_fully_tuned else name for name in names])
    return figure


def training_time(runs: pd.DataFrame, optimizers: Sequence[str]) -> Figure:
    """Training seconds per epoch of the finals that trained alone, each a point."""
    label = "training seconds per epoch, of the finals that trained alone"
    return _dots(runs[runs["quiet"].astype(bool)], optimizers, "train_seconds", 1, label, False)


def _dots(
    runs: pd.DataFrame, optimizers: Sequence[str], measure: str, scale: float, label: str, best_is_highest: bool
) -> Figure:
    finals = runs[(runs["stage"] == "final") & (runs["outcome"] == "completed")]
    if not len(finals):
        return _nothing_yet()
    figure = Figure(figsize=(9.6, 0.9 + 0.55 * max(len(optimizers), 1)), layout="constrained")
    axis = figure.subplots()
    style = styles(optimizers)
    means = finals.groupby("optimizer")[measure].apply(lambda values: values.astype(float).mean())
    order = sorted(optimizers, key=lambda name: means.get(name, -math.inf), reverse=best_is_highest)
    for row, name in enumerate(order):
        colour, marker = style[name]
        values = finals.loc[finals["optimizer"] == name, measure].astype(float)
        axis.plot(values * scale, [row] * len(values), marker, color=colour, markersize=7, alpha=0.8, clip_on=False)
        if len(values) > 1:
            summary = summarize(values.tolist())
            axis.plot([summary.mean * scale] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2)
            if len(values) >= LEAST_SEEDS:  # of two seeds the interval is so wide that it would hide the points
                interval = np.array([summary.low, summary.high], dtype=float) * scale
                axis.plot(interval, [row + 0.3] * 2, color=colour, linewidth=2, alpha=0.5)
    axis.set_yticks(range(len(order)), order)
    axis.set_ylim(len(optimizers) - 0.5, -0.5)
    axis.set_xlabel(label)
    axis.grid(axis="x", alpha=0.3)
    sns.despine(fig=figure, left=True)
    return figure


def prediction(
    pixels: Sequence[Sequence[int]], probabilities: Sequence[float], class_names: Sequence[str], title: str
) -> Figure:
    """An image (28 × 28, 0-255) beside the model's probabilities of its classes."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
    left.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    left.set_axis_off()
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    right.barh(class_names, probabilities, color=[COLOURS[0] if i == best else "#999999" for i in range(10)])
    right.invert_yaxis()
    right.set_xlim(0, 1)
    right.set_xlabel("probability")
    figure.suptitle(title, fontsize=12)
    sns.despine(fig=figure)
    return figure


def _nothing_yet() -> Figure:
    figure = Figure(figsize=(9.6, 0.8))
    figure.text(0.0, 0.5, "No final has ended yet.", va="center", fontsize=12)
    return figure


def render(figure: Figure, kind: str, salt: str) -> bytes:
    """The figure as `svg` or `png`, the same bytes for the same data.

    `salt` makes the ids of an SVG its own, so that several stand on one page.
    """
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    return buffer.getvalue()
