"""Two sweeps beside each other: final accuracy of each optimizer in both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from reports.figures.style import Look, Width, figure, looks
from reports.statistics import SweepChange


@dataclass(frozen=True)
class TwoSweeps:
    """How each optimizer changed from the first sweep to the second, and what these are called."""

    changes: tuple[SweepChange, ...]
    names: tuple[str, str]
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """Which changed beyond noise."""
        changed = [each for each in self.changes if each.told_apart]
        if not any(each.tested for each in self.changes):
            return "There are too few seeds to tell the two apart."
        if not changed:
            return f"No optimizer differs beyond noise between {self.names[0]} and {self.names[1]}."
        words = ", ".join(f"{each.optimizer} by {100 * each.difference:+.2f} points" for each in changed)
        return f"From {self.names[0]} to {self.names[1]} these differ beyond noise: {words}."

    def draw(self, width: Width) -> Figure:
        """A row an optimizer: hollow in the first sweep, filled in the second."""
        drawn = figure(width, 0.75 + 0.26 * len(self.changes))
        axis = drawn.subplots()
        for row, each in enumerate(self.changes):
            look = self.looks[each.optimizer]
            axis.plot([100 * each.before, 100 * each.after], [row, row], color=look.colour, linewidth=0.8)
            axis.plot(100 * each.before, row, look.marker, color=look.colour, markerfacecolor="none", markersize=6)
            axis.plot(100 * each.after, row, look.marker, color=look.colour, markersize=6)
        axis.set_yticks(range(len(self.changes)), [self.looks[each.optimizer].label for each in self.changes])
        axis.set_ylim(len(self.changes) - 0.4, -0.6)
        parts = ("mean test accuracy (%)", "hollow in the first, filled in the second")
        axis.set_xlabel((": " if width == "page" else ":\n").join(parts))
        axis.grid(visible=False, axis="y")
        axis.grid(visible=True, axis="x")
        return drawn


def two_sweeps(changes: Sequence[SweepChange], names: tuple[str, str], optimizers: Sequence[str]) -> TwoSweeps | None:
    """None where the two have no optimizer in common."""
    return TwoSweeps(tuple(changes), names, looks(optimizers)) if changes else None
