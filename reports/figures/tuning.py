"""Tuning: what a part of the budget would have found, and how sensitive each optimizer is to what was searched."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from harness.config import RATE_KEYS
from harness.records import epochs_begun
from reports.figures.style import (
    COLOURS,
    GREY,
    Look,
    Width,
    drawable,
    figure,
    label_ends,
    legend,
    looks,
    many,
    tinted,
    whole_numbers,
)
from reports.statistics import Curve, tuning_curve
from reports.tables import TRIAL_OUTCOMES
from reports.winners import Winner
from studies.definition import SweepDefinition
from studies.space import Range

Settings = Mapping[str, Mapping[str, Any]]  # of the runs' configs, by run id and key
OUTCOME_COLOURS = ("#009e73", "#5a7bd8", "#d55e00", GREY)


@dataclass(frozen=True)
class TuningCurves:
    """The best validation accuracy by epochs of trials spent, over orders of the trials, by optimizer."""

    curves: Mapping[str, Curve]
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """What half the budget would have lost, at most."""
        lost = {
            name: curve.median[-1]
            - max(value for at, value in zip(curve.at, curve.median, strict=True) if at <= half)
            for name, curve in self.curves.items()
            if curve.at[0] <= (half := curve.at[-1] / 2)
        }
        nothing = [name for name in self.curves if name not in lost]
        parts = [f"most searches of {', '.join(nothing)} would have found nothing"] if nothing else []
        if lost:
            worst = max(lost, key=lost.__getitem__)
            parts.append(
                f"the median search loses at most {100 * lost[worst]:.2f} points of validation accuracy ({worst})"
            )
        return f"With half the budget {'; '.join(parts)}."

    def draw(self, width: Width) -> Figure:
        """A line and a band each."""
        drawn = figure(width, 2.5)
        axis = drawn.subplots()
        for name, curve in self.curves.items():
            colour = self.looks[name].colour
            low, median, high = (100 * np.array(values) for values in (curve.low, curve.median, curve.high))
            axis.fill_between(curve.at, low, high, color=colour, alpha=0.14, linewidth=0, step="post")
            axis.step(curve.at, median, color=colour, where="post")
            axis.plot(curve.at[-1], 100 * curve.median[-1], self.looks[name].marker, color=colour)
        values = [value for curve in self.curves.values() for value in curve.median]
        found = [curve.median[-1] for curve in self.curves.values()]
        _zoom(axis, min(_floor(values), *found), max(values))
        whole_numbers(axis)
        axis.set_xlabel("epochs of trials spent")
        axis.set_ylabel("best validation accuracy (%)")
        label_ends(
            drawn,
            axis,
            {name: (each.at[-1], 100 * each.median[-1]) for name, each in self.curves.items()},
            self.looks,
        )
        return drawn


def tuning_curves(runs: pd.DataFrame, optimizers: Sequence[str]) -> TuningCurves | None:
    """Of the trials; None where none completed."""
    curves = {}
    for name in optimizers:
        trials = runs[(runs["optimizer"] == name) & (runs["stage"] == "trial")].to_dict("records")
        curve = tuning_curve(
            [
                (
                    epochs_begun(each["epochs"], each["outcome"]),
                    each["validation_accuracy"] if _completed(each) else math.nan,
                )
                for each in trials
            ]
        )
        if curve is not None:
            curves[name] = curve
    return TuningCurves(curves, looks(optimizers)) if curves else None


@dataclass(frozen=True)
class Point:
    """A trial: the value of one hyperparameter, its last validation accuracy (fraction), whether it completed."""

    value: Any
    accuracy: float
    completed: bool


@dataclass(frozen=True)
class LearningRates:
    """Every trial's learning rate and accuracy by optimizer, the range that was searched, and where the best is."""

    points: Mapping[str, tuple[Point, ...]]
    ranges: Mapping[str, tuple[float, float]]
    at_edge: Mapping[str, str]
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """The best learning rate of each, and which is at an edge."""
        found = [
            f"{name} {_best(points).value:.2g}" + (" (at the edge of its range)" if self.at_edge[name] else "")
            for name, points in self.points.items()
        ]
        return f"The learning rate of the best trial: {', '.join(found)}."

    def draw(self, width: Width) -> Figure:
        """A panel an optimizer, its searched range shaded."""
        columns = min(len(self.points), 3 if width == "page" else 2)
        rows = math.ceil(len(self.points) / columns)
        drawn = figure(width, 0.3 + 1.45 * rows)
        axes = drawn.subplots(rows, columns, sharey=True, squeeze=False).flatten()
        accuracies = [point.accuracy for points in self.points.values() for point in points if point.completed]
        for axis, (name, points) in zip(axes, self.points.items(), strict=False):
            low, high = self.ranges[name]
            axis.axvspan(low, high, color=GREY, alpha=0.12, linewidth=0)
            _scatter(axis, points, self.looks[name], _floor(accuracies), many(accuracies))
            best = _best(points)
            axis.axvline(best.value, linewidth=0.8, linestyle="--", color=self.looks[name].colour)
            axis.set_title(self.looks[name].label + (f": edge, {self.at_edge[name]}" if self.at_edge[name] else ""))
            axis.set_xscale("log")
            axis.xaxis.set_minor_locator(NullLocator())
        _zoom(axes[0], _floor(accuracies), max(accuracies))
        for axis in axes[len(self.points) :]:
            axis.remove()
        key = "shaded: what was searched; dashed: the best trial's"
        drawn.supxlabel(("; " if width == "page" else "\n").join(("learning rate", key)), fontsize=8)
        drawn.supylabel("validation accuracy (%)", fontsize=8)
        return drawn


def learning_rates(
    runs: pd.DataFrame, settings: Settings, winners: Mapping[str, Winner], definition: SweepDefinition
) -> LearningRates | None:
    """Of the optimizers whose learning rate was searched and of which a trial completed; None where there is none."""
    points = {}
    ranges = {}
    at_edge = {}
    for name in definition.optimizers:
        ranges_of_rates = {key: each for key, each in definition.searched(name).items() if isinstance(each, Range)}
        key = next((key for key in RATE_KEYS if key in ranges_of_rates), None)
        if key is None:
            continue
        mine = _points(runs, settings, name, key)
        if any(each.completed for each in mine):
            points[name] = mine
            ranges[name] = ranges_of_rates[key].ends
            edges = winners[name].edges if name in winners else ()
            at_edge[name] = next((edge.next_step for edge in edges if edge.key == key), "")
    return LearningRates(points, ranges, at_edge, looks(definition.optimizers)) if points else None


@dataclass(frozen=True)
class Slices:
    """Every trial's value of each other searched hyperparameter and its accuracy, by key and optimizer."""

    points: Mapping[str, Mapping[str, tuple[Point, ...]]]
    log: Mapping[str, bool]
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """The best value of each."""
        best = {
            key: max(
                (each for points in by.values() for each in points if each.completed), key=lambda at: at.accuracy
            )
            for key, by in self.points.items()
        }
        return (
            "The best value of each: " + ", ".join(f"{key} {_short(each.value)}" for key, each in best.items()) + "."
        )

    def draw(self, width: Width) -> Figure:
        """A panel a hyperparameter."""
        columns = min(len(self.points), 3 if width == "page" else 2)
        rows = math.ceil(len(self.points) / columns)
        drawn = figure(width, 0.6 + 1.6 * rows)
        axes = drawn.subplots(rows, columns, sharey=True, squeeze=False).flatten()
        accuracies = [
            each.accuracy
            for by in self.points.values()
            for points in by.values()
            for each in points
            if each.completed
        ]
        for axis, (key, by_name) in zip(axes, self.points.items(), strict=False):
            values = {point.value for points in by_name.values() for point in points}
            places = None
            if self.log[key]:
                axis.set_xscale("log")
            elif any(isinstance(value, str) for value in values) or len(values) <= 5:
                places = sorted(values, key=lambda value: (isinstance(value, str), value))
                axis.set_xticks(range(len(places)), [_short(value) for value in places])
            for index, (name, points) in enumerate(by_name.items()):
                shift = 0.1 * (index - (len(by_name) - 1) / 2)
                placed = (
                    points
                    if places is None
                    else [Point(places.index(each.value) + shift, each.accuracy, each.completed) for each in points]
                )
                _scatter(axis, placed, self.looks[name], _floor(accuracies), many(accuracies))
            axis.set_xlabel(key)
        _zoom(axes[0], _floor(accuracies), max(accuracies))
        for axis in axes[len(self.points) :]:
            axis.remove()
        drawn.supylabel("validation accuracy (%)", fontsize=8)
        legend(drawn, next(iter(self.points.values())), self.looks, width)
        return drawn


def slices(runs: pd.DataFrame, settings: Settings, definition: SweepDefinition) -> Slices | None:
    """Of every searched key but the learning rate; None where no trial of one completed."""
    points: dict[str, dict[str, tuple[Point, ...]]] = {}
    log = {}
    for name in definition.optimizers:
        for key, dimension in definition.searched(name).items():
            mine = _points(runs, settings, name, key)
            if key not in RATE_KEYS and any(each.completed for each in mine):
                points.setdefault(key, {})[name] = mine
                log[key] = dimension.is_log_in_value
    return Slices(points, log, looks(definition.optimizers)) if points else None


@dataclass(frozen=True)
class Importances:
    """The share (0 to 1) of each searched hyperparameter in how much an optimizer's accuracy varies, by PED-ANOVA."""

    shares: Mapping[str, Mapping[str, float]]
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """The most important one of each."""
        most = {name: max(shares, key=shares.__getitem__) for name, shares in self.shares.items()}
        found = ", ".join(f"{key} for {name} ({self.shares[name][key]:.0%})" for name, key in most.items())
        return f"What matters most: {found}."

    def draw(self, width: Width) -> Figure:
        """A row an optimizer, a column a hyperparameter."""
        keys = list(dict.fromkeys(key for shares in self.shares.values() for key in shares))
        table = np.array([[shares.get(key, math.nan) for key in keys] for shares in self.shares.values()])
        upright = len(keys) > (4 if width == "column" else 9)  # or their names would overlap
        drawn = figure(width, (1.6 if upright else 0.9) + 0.24 * len(self.shares))
        axis = drawn.subplots()
        axis.imshow(tinted(np.nan_to_num(table), COLOURS[0]), aspect="auto")
        for row, column in np.argwhere(np.isfinite(table)):
            axis.text(column, row, f"{table[row, column]:.0%}", ha="center", va="center")
        names = keys if upright else [key.replace(".", ".\n", 1) for key in keys]
        axis.set_xticks(range(len(keys)), names, fontsize=7, rotation=90 if upright else 0)
        axis.set_yticks(range(len(self.shares)), [self.looks[name].label for name in self.shares])
        axis.grid(visible=False)
        return drawn


@dataclass(frozen=True)
class Outcomes:
    """Numbers of trials by how they ended, by optimizer."""

    counts: Mapping[str, Mapping[str, int]]

    @property
    def finding(self) -> str:
        """All together."""
        total = {outcome: sum(each[outcome] for each in self.counts.values()) for outcome in TRIAL_OUTCOMES}
        words = ", ".join(f"{count} {outcome}" for outcome, count in total.items() if count)
        return f"Of {sum(total.values())} trials {words}."

    def draw(self, width: Width) -> Figure:
        """A bar an optimizer."""
        drawn = figure(width, 0.85 + 0.22 * len(self.counts))
        axis = drawn.subplots()
        left = np.zeros(len(self.counts))
        for outcome, colour in zip(TRIAL_OUTCOMES, OUTCOME_COLOURS, strict=True):
            numbers = np.array([each[outcome] for each in self.counts.values()])
            if numbers.any():
                axis.barh(
                    range(len(self.counts)),
                    numbers,
                    left=left,
                    color=colour,
                    label=outcome,
                    height=0.7,
                    alpha=0.35,
                )
                for row in np.flatnonzero(numbers):
                    axis.text(left[row] + numbers[row] / 2, int(row), str(numbers[row]), ha="center", va="center")
            left += numbers
        axis.set_yticks(range(len(self.counts)), [drawable(name) for name in self.counts])
        axis.invert_yaxis()
        axis.set_xlabel("trials")
        axis.grid(visible=False)
        drawn.legend(loc="outside upper left", ncols=4, frameon=False)
        return drawn


def outcomes(summary: pd.DataFrame, optimizers: Sequence[str]) -> Outcomes | None:
    """Of the summary; None where no trial has ended."""
    rows = summary.set_index("optimizer")[TRIAL_OUTCOMES].to_dict("index")
    counts = {name: {str(each): int(count) for each, count in rows[name].items()} for name in optimizers}
    return Outcomes(counts) if any(sum(each.values()) for each in counts.values()) else None


def _points(runs: pd.DataFrame, settings: Settings, optimizer: str, key: str) -> tuple[Point, ...]:
    trials = runs[(runs["optimizer"] == optimizer) & (runs["stage"] == "trial")]
    trials = trials.assign(accuracy=trials["validation_accuracy"].where(trials["outcome"] != "diverged", 0.0))
    return tuple(
        Point(_number(settings[each["run_id"]][key]), float(each["accuracy"]), _completed(each))
        for each in trials[trials["accuracy"].notna()].to_dict("records")
        if key in settings.get(each["run_id"], {})
    )


def _scatter(axis: Axes, points: Sequence[Point], look: Look, floor: float, as_pixels: bool) -> None:
    """Completed trials filled, the others hollow; those under the floor as arrows at it."""
    for completed in (False, True):
        mine = [each for each in points if each.completed == completed]
        for below in (True, False):
            shown = [each for each in mine if (each.accuracy < floor) == below]
            axis.plot(
                [each.value for each in shown],
                [100 * max(each.accuracy, floor) for each in shown],
                linestyle="",
                marker=r"$\downarrow$" if below else look.marker,
                color=look.colour,
                markerfacecolor=look.colour if completed else "none",
                alpha=0.8 if completed else 0.5,
                markersize=2.5 if as_pixels else None,
                rasterized=as_pixels,
            )


def _zoom(axis: Axes, floor: float, top: float) -> None:
    """Show the accuracies from one to the other."""
    margin = 0.06 * (top - floor) or 0.005
    axis.set_ylim(100 * (floor - margin), 100 * (top + margin))
    axis.ticklabel_format(axis="y", useOffset=False)


def _floor(accuracies: Sequence[float]) -> float:
    """Where an axis of accuracies begins, so that a few very bad trials don't hide what the others differ in."""
    middle = float(np.median(accuracies))
    return max(0.0, min(min(accuracies), middle) if min(accuracies) > 2 * middle - 1 - 0.02 else 3 * middle - 2)


def _best(points: Sequence[Point]) -> Point:
    return max((each for each in points if each.completed), key=lambda each: each.accuracy)


def _completed(run: Mapping[Any, Any]) -> bool:
    return bool(run["outcome"] == "completed")


def _number(value: Any) -> float | str:  # noqa: ANN401
    """Of a config's value, where it is one; else its text."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _short(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() and value < 1e6 else f"{value:.3g}"
