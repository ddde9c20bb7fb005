"""Convergence of the finals: loss and accuracy after each epoch, against epochs and against training seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import Look, Width, figure, label_ends, logarithmic, looks, whole_numbers
from reports.tables import measured_split


@dataclass(frozen=True)
class Course:
    """One optimizer's finals: (median, lowest, highest) after each epoch; loss in nats, accuracy as a fraction.

    `seconds` are of training until then, on a quiet machine where one final had it to itself.
    """

    optimizer: str
    epochs: tuple[int, ...]
    seconds: tuple[float, ...]
    loss: tuple[tuple[float, float, float], ...]
    accuracy: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Convergence:
    """How each optimizer with a final converges. `split`, validation or test, was measured after each epoch."""

    courses: tuple[Course, ...]
    split: str
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """Who is ahead after the first epoch and after the last."""
        first = max(self.courses, key=lambda each: each.accuracy[0][0])
        last = max(self.courses, key=lambda each: each.accuracy[-1][0])
        ahead = f"{first.optimizer} is ahead after the first epoch, at a median {self.split} accuracy of "
        also = "and" if last is first else last.optimizer
        return f"{ahead}{first.accuracy[0][0]:.2%}; {also} after the last, at {last.accuracy[-1][0]:.2%}."

    def draw(self, width: Width) -> Figure:
        """Loss above accuracy; epochs beside seconds, or below each other where there is no room."""
        drawn = figure(width, 4.4 if width == "page" else 7.2)
        axes = drawn.subplots(2, 2).T.flatten() if width == "page" else drawn.subplots(4, 1)
        panels = [(measure, against) for against in ("epochs", "seconds") for measure in ("loss", "accuracy")]
        for axis, (measure, against) in zip(axes, panels, strict=True):
            self._panel(axis, measure, against)
        for axis, (measure, against) in zip(axes, panels, strict=True):
            if width == "column" or against == "seconds":
                label_ends(drawn, axis, self._ends(measure, against), self.looks)
        return drawn

    def _panel(self, axis: Axes, measure: str, against: str) -> None:
        scale = 100 if measure == "accuracy" else 1
        for each in self.courses:
            look, at = self.looks[each.optimizer], getattr(each, against)
            median, low, high = zip(*getattr(each, measure), strict=True)
            axis.fill_between(
                at, _scaled(low, scale), _scaled(high, scale), color=look.colour, alpha=0.16, linewidth=0
            )
            axis.plot(at, _scaled(median, scale), look.marker + "-", color=look.colour)
        axis.set_ylabel(f"{self.split} accuracy (%)" if measure == "accuracy" else f"{self.split} loss (nats, log)")
        axis.set_xlabel("epoch" if against == "epochs" else "seconds of training")
        if against == "epochs":
            whole_numbers(axis)
        if measure == "loss":
            logarithmic(axis)

    def _ends(self, measure: str, against: str) -> dict[str, tuple[float, float]]:
        scale = 100 if measure == "accuracy" else 1
        return {
            each.optimizer: (getattr(each, against)[-1], scale * getattr(each, measure)[-1][0])
            for each in self.courses
        }


def convergence(epochs: pd.DataFrame, optimizers: Sequence[str], seconds: Mapping[str, float]) -> Convergence | None:
    """Return the figure of the finals; None where none has an epoch. `seconds` are an epoch's, by optimizer."""
    split = measured_split(epochs)
    finals = epochs[(epochs["stage"] == "final") & ~epochs["outcome"].isin(["diverged", "failed"])].dropna(
        subset=[f"{split}_loss", f"{split}_accuracy"]
    )
    courses = tuple(
        _course(name, mine, split, seconds.get(name))
        for name in optimizers
        if len(mine := finals[finals["optimizer"] == name])
    )
    return Convergence(courses, split, looks(optimizers)) if courses else None


def _course(name: str, finals: pd.DataFrame, split: str, seconds: float | None) -> Course:
    by_epoch = finals.groupby("epoch")
    spread = {
        measure: by_epoch[f"{split}_{measure}"].agg(["median", "min", "max"]) for measure in ("loss", "accuracy")
    }
    epochs = tuple(int(epoch) for epoch in spread["loss"].index)
    trained = by_epoch["trained_seconds"].median()
    return Course(
        optimizer=name,
        epochs=epochs,
        seconds=tuple(float(trained[epoch]) if seconds is None else seconds * epoch for epoch in epochs),
        loss=tuple(spread["loss"].itertuples(index=False, name=None)),
        accuracy=tuple(spread["accuracy"].itertuples(index=False, name=None)),
    )


def _scaled(values: Sequence[float], scale: float) -> list[float]:
    return [scale * value for value in values]
