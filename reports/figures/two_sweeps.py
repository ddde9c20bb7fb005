"""Show two sweeps side by side: the final accuracy of each optimizer in both."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from reports.figures.style import Drawn, Looks, Picture, Width, figure, looks, name_scale, rows, tuples, up_to_100
from reports.statistics import SweepChange


def two_sweeps(changes: Sequence[SweepChange], names: tuple[str, str], optimizers: Sequence[str]) -> Picture | None:
    """Show how each optimizer changed from the first sweep to the second; None if they share no optimizer."""
    if not changes:
        return None
    data = pd.DataFrame([each.model_dump() for each in changes])
    return Picture(data, _finding(changes, names), partial(_draw, looks(optimizers)))


def _finding(changes: Sequence[SweepChange], names: tuple[str, str]) -> str:
    """Say which optimizers changed significantly."""
    changed = [each for each in changes if each.told_apart]
    if not any(each.tested for each in changes):
        if any(each.without_winner for each in changes) and all(each.lost for each in changes):
            return "No optimizer has a winner of each search and completed all its finals in both sweeps."
        if all(each.lost for each in changes):
            return "No optimizer completed all its finals in both sweeps."
        return f"There are too few {changes[0].units} to compare the two."
    if not changed:
        return f"No optimizer is shown to differ between {names[0]} and {names[1]}."
    words = ", ".join(f"{each.optimizer} by {100 * each.difference:+.2f} points" for each in changed)
    return f"From {names[0]} to {names[1]} these are shown to differ: {words}."


def _draw(looks: Looks, data: pd.DataFrame, width: Width) -> Drawn:
    """Draw one row per optimizer: a hollow marker for the first sweep, a filled one for the second."""
    drawn = figure(width, 0.75 + 0.26 * len(data))
    axis = drawn.subplots()
    for row, each in enumerate(tuples(data)):
        look = looks[str(each.optimizer)]
        axis.plot([100 * each.before, 100 * each.after], [row, row], color=look.colour, linewidth=0.8)
        axis.plot(100 * each.before, row, look.marker, color=look.colour, markerfacecolor="none", markersize=6)
        axis.plot(100 * each.after, row, look.marker, color=look.colour, markersize=6)
    rows(axis, [looks[name].label for name in data["optimizer"]])
    up_to_100(axis)
    parts = ("mean test accuracy (%)", "hollow: first sweep, filled: second")
    name_scale(drawn, axis, ": ".join(parts), width)
    return drawn
