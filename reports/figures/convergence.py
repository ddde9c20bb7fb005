"""Convergence of the finals: loss and accuracy as they train, against epochs and against training seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import (
    Look,
    Width,
    figure,
    label_ends,
    logarithmic,
    looks,
    lowest_shown,
    whole_numbers,
    zoom,
)


@dataclass(frozen=True)
class Course:
    """One optimizer's finals: (median, lowest, highest) after so many epochs; loss in nats, accuracy as a fraction.

    `seconds` are of training until then, at the pace of the final that had a quiet machine to itself; none where no
    final did.
    """

    optimizer: str
    epochs: tuple[float, ...]
    seconds: tuple[float, ...]
    loss: tuple[tuple[float, float, float], ...]
    accuracy: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Convergence:
    """How each optimizer with a final converges. `split` is what was measured: validation or test."""

    courses: tuple[Course, ...]
    split: str
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """Say who is ahead after the first epoch and after the last, which may be the same."""
        first = max(self.courses, key=_after_an_epoch)
        last = max(self.courses, key=lambda each: each.accuracy[-1][0])
        if max(each.epochs[-1] for each in self.courses) <= 1:
            accuracy = last.accuracy[-1][0]
            return f"{last.optimizer} is ahead at the end, at a median {self.split} accuracy of {accuracy:.2%}."
        ahead = f"{first.optimizer} is ahead after the first epoch, at a median {self.split} accuracy of "
        also = "and" if last is first else last.optimizer
        return f"{ahead}{_after_an_epoch(first):.2%}; {also} after the last, at {last.accuracy[-1][0]:.2%}."

    def draw(self, width: Width) -> Figure:
        """Loss above accuracy; epochs beside seconds, or below each other where there is no room."""
        drawn = figure(width, 4.4 if width == "page" else 7.2)
        axes = drawn.subplots(2, 2).T.flatten() if width == "page" else drawn.subplots(4, 1)
        panels = [(measure, against) for against in ("epochs", "seconds") for measure in ("loss", "accuracy")]
        panels = [each for each in panels if each[1] == "epochs" or any(course.seconds for course in self.courses)]
        for axis in axes[len(panels) :]:
            axis.remove()
        for axis, (measure, against) in zip(axes, panels, strict=False):
            self._panel(axis, measure, against)
        for axis, (measure, against) in zip(axes, panels, strict=False):
            if width == "column" or against == "seconds":
                label_ends(drawn, axis, self._ends(measure, against), self.looks)
        return drawn

    def _panel(self, axis: Axes, measure: str, against: str) -> None:
        scale = 100 if measure == "accuracy" else 1
        for each in self.courses:
            if not getattr(each, against):
                continue
            look, at = self.looks[each.optimizer], getattr(each, against)
            median, low, high = zip(*getattr(each, measure), strict=True)
            axis.fill_between(
                at, _scaled(low, scale), _scaled(high, scale), color=look.colour, alpha=0.16, linewidth=0
            )
            axis.plot(at, _scaled(median, scale), look.marker + "-", color=look.colour, markersize=3)
        axis.set_ylabel(f"{self.split} accuracy (%)" if measure == "accuracy" else f"{self.split} loss (nats, log)")
        axis.set_xlabel("epoch" if against == "epochs" else "seconds of training")
        if against == "epochs":
            whole_numbers(axis)
        if measure == "loss":
            logarithmic(axis)
        else:
            values = [median for each in self.courses for median, _, _ in each.accuracy]
            zoom(axis, lowest_shown(values), max(values))

    def _ends(self, measure: str, against: str) -> dict[str, tuple[float, float]]:
        scale = 100 if measure == "accuracy" else 1
        return {
            each.optimizer: (getattr(each, against)[-1], scale * getattr(each, measure)[-1][0])
            for each in self.courses
            if getattr(each, against)
        }


def convergence(
    courses: pd.DataFrame, split: str, optimizers: Sequence[str], seconds: Mapping[str, float]
) -> Convergence | None:
    """Return the figure of the finals; None where nothing of them was measured. `seconds` are an epoch's."""
    finals = courses[~courses["outcome"].isin(["diverged", "failed"])].dropna(subset=["loss", "accuracy"])
    found = tuple(
        _course(name, mine, seconds.get(name))
        for name in optimizers
        if len(mine := finals[finals["optimizer"] == name])
    )
    return Convergence(found, split, looks(optimizers)) if found else None


def _course(name: str, finals: pd.DataFrame, seconds: float | None) -> Course:
    by_epochs = finals.groupby("epochs")
    spread = {measure: by_epochs[measure].agg(["median", "min", "max"]) for measure in ("loss", "accuracy")}
    epochs = tuple(map(float, spread["loss"].index))
    return Course(
        optimizer=name,
        epochs=epochs,
        seconds=() if seconds is None else tuple(seconds * each for each in epochs),
        loss=tuple(spread["loss"].itertuples(index=False, name=None)),
        accuracy=tuple(spread["accuracy"].itertuples(index=False, name=None)),
    )


def _after_an_epoch(course: Course) -> float:
    """Return the median accuracy at the end of the first epoch."""
    index = next((index for index, epochs in enumerate(course.epochs) if epochs >= 1), -1)
    return course.accuracy[index][0]


def _scaled(values: Sequence[float], scale: float) -> list[float]:
    return [scale * value for value in values]
