"""Show where the luck comes from: the part of a final's accuracy due to its seed, its search and the test set."""

import pandas as pd

from harness.colours import COLOURS
from reports.computed import Computed
from reports.figures.style import Drawn, Picture, Width, figure, interval, rows, tuples


def luck(of: Computed) -> Picture | str:
    """Show the standard deviation of each source of luck; return an empty text for a single search."""
    found = of.luck
    if found is None:
        return ""
    data = pd.DataFrame(
        [
            ("seed of a final", found.seeds, None, None),
            (found.source_of_searches, found.searches, found.search_low, found.search_high),
            ("test set (difference of two)", found.images, None, None),
        ],
        columns=["source", "sd", "low", "high"],
    ).dropna(subset="sd")
    data[["sd", "low", "high"]] = 100 * data[["sd", "low", "high"]].astype(float)
    return Picture(data, found.in_words, _draw)


def _draw(data: pd.DataFrame, width: Width) -> Drawn:
    drawn = figure(width, 0.55 + 0.2 * len(data))
    axis = drawn.subplots()
    for row, each in enumerate(tuples(data)):
        axis.plot([each.sd], [row], "o", color=COLOURS[0])
        if not pd.isna(each.low):
            interval(drawn, axis, row, (float(each.low), float(each.high)), COLOURS[0])
    rows(axis, data["source"].tolist())
    axis.set_xlim(0, None)
    axis.set_xlabel("standard deviation (points)")
    return drawn
