"""Every trial by what was searched: by its learning rate, and by each other hyperparameter."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from harness.colours import GREY
from harness.config import RATE_KEYS
from reports.figures.style import Look, Width, figure, legend, looks, lowest_shown, many, zoom
from reports.winners import Winners
from studies.definition import SweepDefinition
from studies.space import Range

Settings = Mapping[str, Mapping[str, Any]]  # of the runs' configs, by run id and key


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
            _scatter(axis, points, self.looks[name], lowest_shown(accuracies), many(accuracies))
            best = _best(points)
            axis.axvline(best.value, linewidth=0.8, linestyle="--", color=self.looks[name].colour)
            axis.set_title(self.looks[name].label + (f": edge, {self.at_edge[name]}" if self.at_edge[name] else ""))
            axis.set_xscale("log")
            axis.xaxis.set_minor_locator(NullLocator())
        zoom(axes[0], lowest_shown(accuracies), max(accuracies))
        for axis in axes[len(self.points) :]:
            axis.remove()
        key = "shaded: what was searched; dashed: the best trial's"
        drawn.supxlabel(("; " if width == "page" else "\n").join(("learning rate", key)), fontsize=8)
        drawn.supylabel("validation accuracy (%)", fontsize=8)
        return drawn


def learning_rates(
    runs: pd.DataFrame, settings: Settings, winners: Winners, definition: SweepDefinition
) -> LearningRates | None:
    """Return the figure of optimizers whose rate was searched and that completed a trial; None where none did."""
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
            edges = [edge for winner in winners.get(name, ()) for edge in winner.edges]
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
                _scatter(axis, placed, self.looks[name], lowest_shown(accuracies), many(accuracies))
            axis.set_xlabel(key)
        zoom(axes[0], lowest_shown(accuracies), max(accuracies))
        for axis in axes[len(self.points) :]:
            axis.remove()
        drawn.supylabel("validation accuracy (%)", fontsize=8)
        legend(drawn, next(iter(self.points.values())), self.looks, width)
        return drawn


def slices(runs: pd.DataFrame, settings: Settings, definition: SweepDefinition) -> Slices | None:
    """Return the figure of every searched key but the learning rate; None where no trial of one completed."""
    points: dict[str, dict[str, tuple[Point, ...]]] = {}
    log = {}
    for name in definition.optimizers:
        for key, dimension in definition.searched(name).items():
            mine = _points(runs, settings, name, key)
            if key not in RATE_KEYS and any(each.completed for each in mine):
                points.setdefault(key, {})[name] = mine
                log[key] = dimension.is_log_in_value
    return Slices(points, log, looks(definition.optimizers)) if points else None


def _points(runs: pd.DataFrame, settings: Settings, optimizer: str, key: str) -> tuple[Point, ...]:
    trials = runs[(runs["optimizer"] == optimizer) & (runs["stage"] == "trial")]
    trials = trials.assign(accuracy=trials["validation_accuracy"].where(trials["outcome"] != "diverged", 0.0))
    return tuple(
        Point(_number(settings[each["run_id"]][key]), float(each["accuracy"]), each["outcome"] == "completed")
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


def _best(points: Sequence[Point]) -> Point:
    return max((each for each in points if each.completed), key=lambda each: each.accuracy)


def _number(value: Any) -> float | str:  # noqa: ANN401
    """Return a config's value as a number, where it is one; else its text."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _short(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() and value < 1e6 else f"{value:.3g}"
