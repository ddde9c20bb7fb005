"""Tuning curves: the best accuracy that a part of the budget would have found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.curves import Curve, tuning_curve
from reports.figures.style import Look, Width, figure, label_ends, looks, lowest_shown, whole_numbers, zoom


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
        zoom(axis, min(lowest_shown(values), *found), max(values))
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
    """Return the figure of the trials; None where none completed."""
    curves = {}
    for name in optimizers:
        trials = runs[(runs["optimizer"] == name) & (runs["stage"] == "trial")].to_dict("records")
        curve = tuning_curve(
            [
                (
                    each["spent"],
                    each["validation_accuracy"] if each["outcome"] == "completed" else math.nan,
                )
                for each in trials
            ]
        )
        if curve is not None:
            curves[name] = curve
    return TuningCurves(curves, looks(optimizers)) if curves else None
