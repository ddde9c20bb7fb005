"""Show what the models get wrong: confusions of the best optimizer, confident mistakes, accuracy by class."""

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from harness.colours import COLOURS, GREY, INK
from harness.records import Mistake, Mistakes
from reports.computed import Computed
from reports.figures.style import (
    Drawn,
    Looks,
    Picture,
    Width,
    dots,
    figure,
    legend,
    looks,
    name_scale,
    rows,
    tint,
    tuples,
    up_to_100,
)
from reports.statistics import names_at
from reports.tables import untested_classes

MOST_NAMED = 10  # classes listed in a sentence
MOST_CLASSES = 26  # the most classes that a figure shows


def confusion(of: Computed) -> Picture | str:
    """Show the confusions of the first optimizer in `of.mistakes`, summed over its finals."""
    if not of.mistakes:
        return ""
    optimizer, finals = next(iter(of.mistakes.items()))
    names = next(iter(finals.values())).class_names
    whole = pd.DataFrame(np.sum([each.confusion for each in finals.values()], axis=0), names, names)
    counts = whole.to_numpy(copy=True)
    wrong = counts.sum() - np.trace(counts)
    seeds = f"{len(finals)} seed{'s' if len(finals) > 1 else ''}"
    finding = f"{optimizer} gets {wrong} of {counts.sum()} test {of.things} wrong over {seeds}"
    if wrong:
        np.fill_diagonal(counts, 0)
        row, column = np.unravel_index(counts.argmax(), counts.shape)
        most = counts[row, column]
        finding += f"; most often it takes {names[row]} for {names[column]}, {most} time{'' if most == 1 else 's'}"
        if equal := int((counts == most).sum()) - 1:
            finding += f", as often as in {equal} other pair{'' if equal == 1 else 's'} of classes"
    data = _most_confused(whole)
    left_out = "" if len(data) == len(whole) else f" Shown are the {len(data)} classes with the most mistakes."
    return Picture(data, f"{finding}.{left_out}", _draw_confusion)


def _most_confused(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows and columns of the classes with the most mistakes, in the order of the classes.

    A class's mistakes are its images with another prediction, and other classes' images that are predicted as it.
    """
    wrong = counts.sum() + counts.sum(axis=1) - 2 * np.diag(counts)
    most = np.sort(np.argsort(-wrong.to_numpy(), kind="stable")[:MOST_CLASSES])
    return counts.iloc[most, most]


def _draw_confusion(data: pd.DataFrame, width: Width) -> Drawn:
    """Draw the matrix; the colour shows mistakes only, not correct predictions."""
    counts = data.to_numpy()
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    drawn = figure(width, max(3.3, 0.9 + 0.2 * len(counts)))
    axis = drawn.subplots()
    text = np.where(counts > 0, counts.astype(str), "")
    how = {"cmap": tint(COLOURS[1]), "cbar": False, "vmin": 0, "vmax": max(1, wrong.max()), "square": True}
    sns.heatmap(wrong, annot=text, fmt="", ax=axis, annot_kws={"color": INK, "fontsize": 6.4}, **how)
    names = [str(name) for name in data.columns]
    middles = np.arange(len(names)) + 0.5
    axis.set_xticks(middles, names, rotation=45 if max(map(len, names)) > 2 else 0, fontsize=7)
    axis.set_yticks(middles, names, rotation=0, fontsize=7)
    axis.set(xlabel="prediction", ylabel="ground truth")
    axis.grid(visible=False)
    return drawn


def gallery(of: Computed) -> Picture | str:
    """Show the most confident mistakes of one final, of the first optimizer in `of.mistakes`."""
    for optimizer, finals in of.mistakes.items():
        seed, first = next(iter(finals.items()))
        if not first.most_confident:
            return ""
        said = "; ".join(_in_words(each, first, of.things.removesuffix("s")) for each in first.most_confident)
        finding = f"The most confident mistakes of {optimizer}, seed {seed}: {said}."
        if of.things == "rows":
            return f"pictures of mistakes (rows of features have none). {finding.removesuffix('.')}"
        data = pd.DataFrame([each.model_dump() for each in first.most_confident])
        return Picture(data, finding, partial(_draw_gallery, first.class_names))
    return ""


def _in_words(each: Mistake, of: Mistakes, thing: str) -> str:
    return (
        f"{thing} {each.index}, {of.class_names[each.ground_truth]} taken for {of.class_names[each.prediction]} "
        f"({each.probability:.1%})"
    )


def _draw_gallery(names: tuple[str, ...], data: pd.DataFrame, width: Width) -> Drawn:
    """Draw the images, each with its ground truth, its prediction and the prediction's probability."""
    long = max(map(len, names)) > 2
    columns = (5 if long else 10) if width == "page" else (3 if long else 5)
    lines = -(-len(data) // columns)
    drawn = figure(width, (1.3 if long else 1.02) * lines)
    axes = drawn.subplots(lines, columns, squeeze=False).flatten()
    for axis in axes:
        axis.set_axis_off()
    for axis, each in zip(axes, data.to_dict("records"), strict=False):
        pixels = np.frombuffer(base64.b64decode(each["pixels"]), dtype=np.uint8).reshape(each["shape"])
        axis.imshow(pixels, cmap="gray", vmin=0, vmax=255)
        arrow = " →\n" if long else " → "
        title = f"{names[each['ground_truth']]}{arrow}{names[each['prediction']]}\n{each['probability']:.1%}"
        axis.set_title(title, fontsize=7, loc="center", pad=2)
    return drawn


def classes(of: Computed) -> Picture | str:
    """Show the share of each class's test images that the finals of each optimizer predict correctly."""
    frame = of.tables["classes"]
    if not len(frame):
        return ""
    names = list(dict.fromkeys(frame["class"]))
    data = frame.assign(right=100 * frame["accuracy"], row=frame["class"].map(names.index))
    data["tip"] = [
        f"{each.optimizer}, class {name}: {each.right:.2f}%"
        for each, name in zip(tuples(data), data["class"], strict=True)
    ]
    means = frame.groupby("class", sort=False)["accuracy"].mean()
    finding = _said_of_classes(means.to_dict())
    untested = untested_classes(final for finals in of.mistakes.values() for final in finals.values())
    if untested:
        more = len(untested) - MOST_NAMED
        listed = ", ".join(untested[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        finding += f" Classes without test {of.things} are left out: {listed}."
    if len(names) > MOST_CLASSES:
        hardest = means.nsmallest(MOST_CLASSES).index
        shown = [name for name in names if name in hardest]
        data = data[data["class"].isin(shown)].assign(row=lambda frame: frame["class"].map(shown.index))
        finding += f" The {MOST_CLASSES} hardest of {len(names)} classes are shown."
    return Picture(data, finding, partial(_draw_classes, looks(of.optimizers), of.things))


def _said_of_classes(means: Mapping[Any, float]) -> str:
    """Say which classes are the hardest and the easiest; many that are equal are counted, not named."""
    lowest, highest = min(means.values()), max(means.values())
    hardest, easiest = names_at(means, lowest), names_at(means, highest)
    if hardest == easiest:
        return f"Over all optimizers, every class is {lowest:.2%} correct."
    are = "is" if len(hardest) == 1 else "are"
    return (
        f"Over all optimizers, {_classes(hardest)} {are} the hardest ({lowest:.2%} correct) and {_classes(easiest)} "
        f"the easiest ({highest:.2%})."
    )


def _classes(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMED:
        return f"{len(names)} classes"
    return f"class{'' if len(names) == 1 else 'es'} {', '.join(names)}"


def _draw_classes(looks: Looks, things: str, data: pd.DataFrame, width: Width) -> Drawn:
    names = list(dict.fromkeys(data["class"]))
    drawn = figure(width, 0.9 + 0.22 * len(names))
    axis = drawn.subplots()
    of_rows = data.groupby("row")["right"]
    axis.hlines(range(len(names)), of_rows.min(), of_rows.max(), color=GREY, linewidth=0.6, zorder=0)
    dots(drawn, axis, data, "right", "row", looks)
    rows(axis, [str(name) for name in names])
    up_to_100(axis)
    parts = (f"correct test {things} of the class (%)", "mean over seeds")
    name_scale(drawn, axis, ", ".join(parts), width)
    legend(drawn, dict.fromkeys(data["optimizer"]), looks, width)
    return drawn
