"""Outcomes: how the trials of each optimizer ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.colours import GREY
from reports.figures.style import Width, drawable, figure
from reports.optimizers import TRIAL_OUTCOMES

OUTCOME_COLOURS = ("#009e73", "#5a7bd8", "#d55e00", GREY)


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
    """Return the figure of the summary; None where no trial has ended."""
    rows = summary.set_index("optimizer")[TRIAL_OUTCOMES].to_dict("index")
    counts = {name: {str(each): int(count) for each, count in rows[name].items()} for name in optimizers}
    return Outcomes(counts) if any(sum(each.values()) for each in counts.values()) else None
