"""Show the differences between optimizers: the interval of each pair, beside the margin."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from harness.colours import COLOURS, GREY, INK
from reports.computed import Computed
from reports.figures.style import (
    Drawn,
    Looks,
    Picture,
    Width,
    drawable,
    figure,
    interval,
    looks,
    name_scale,
    rows,
    tuples,
)
from reports.statistics import names_at
from reports.verdicts import Verdicts
from studies.verdicts import Verdict

MOST_PAIRS = 15  # with more, only the pairs of the best optimizer are shown
VERDICT_COLOURS = {
    Verdict.BETTER: COLOURS[0],
    Verdict.SLIGHTLY_BETTER: COLOURS[5],
    Verdict.SAME: COLOURS[2],
    Verdict.UNDECIDED: GREY,
}


def differences(of: Computed) -> Picture | str:
    """Show the interval of every pair, the largest difference first; with many, only those of the best optimizer."""
    if len(of.optimizers) < 2:
        return ""
    known = [each for each in of.verdicts.accuracy if each.low is not None and each.high is not None]
    if not known and of.verdicts.enough:
        return "differences (no pair has an interval: its finals do not vary, or did not complete)"
    if not known:
        return "differences (too few finals for an interval)"
    data = pd.DataFrame(
        {
            "better": each.better,
            "worse": each.worse,
            "difference": 100 * each.difference,
            "low": 100 * (each.low or 0.0),
            "high": 100 * (each.high or 0.0),
            "verdict": each.verdict,
            "row": row,
            "tip": f"{each.better} − {each.worse}: {100 * each.difference:+.2f} points, {each.verdict}",
        }
        for row, each in enumerate(sorted(known, key=lambda each: -each.difference))
    )
    finding = _finding(of.verdicts)
    if len(known) < len(of.verdicts.accuracy):
        finding += " Pairs without an interval are not shown."
    if len(data) > MOST_PAIRS:
        means = dict(zip(of.summary["optimizer"], of.summary["mean"], strict=True))
        judged = {*data["better"], *data["worse"]}
        best = next(name for name in means if name in judged)
        data = data[(data["better"] == best) | (data["worse"] == best)].reset_index(drop=True)
        data["row"] = range(len(data))
        which = "one of those with" if len(names_at(means, means[best])) > 1 else "which has"
        of_judged = "" if best == next(iter(means)) else " of those with an interval"
        finding += f" Shown are only the pairs of {best}, {which} the highest mean{of_judged}."
    return Picture(data, finding, partial(_draw, of.verdicts.margin, looks(of.optimizers)))


def _finding(verdicts: Verdicts) -> str:
    counts = pd.Series([each.verdict for each in verdicts.accuracy]).value_counts(sort=False)
    said = "; ".join(f"{count} {verdict}" for verdict, count in counts.items())
    pairs = len(verdicts.accuracy)
    return f"Of {pairs} pair{'' if pairs == 1 else 's'}: {said}."


def _draw(margin: float, looks: Looks, data: pd.DataFrame, width: Width) -> Drawn:
    drawn = figure(width, 0.7 + 0.2 * len(data))
    axis = drawn.subplots()
    draw_differences(drawn, axis, data, margin, looks)
    parts = ("difference in test accuracy (points)", f"shaded: the margin, ±{100 * margin:g}")
    name_scale(drawn, axis, "; ".join(parts), width)
    return drawn


def draw_differences(drawn: Drawn, axis: Axes, data: pd.DataFrame, margin: float, looks: Looks) -> None:
    """Draw one row per pair in the colour of its verdict, with the verdict on the right."""
    axis.axvspan(-100 * margin, 100 * margin, color=COLOURS[2], alpha=0.15, linewidth=0)
    axis.axvline(0, color=INK, linewidth=0.6)
    for each in tuples(data):
        pair, colour = [looks[str(each.better)], looks[str(each.worse)]], VERDICT_COLOURS[Verdict(str(each.verdict))]
        interval(drawn, axis, float(each.row), (float(each.low), float(each.high)), colour, pair)
        (point,) = axis.plot([each.difference], [each.row], "o", color=colour)
        drawn.tag(point, pair, str(each.tip))
        where = axis.get_yaxis_transform()
        said = axis.text(1.02, float(each.row), str(each.verdict).split(",")[0], va="center", transform=where)
        drawn.tag(said, pair)
    rows(axis, [f"{drawable(each.better)} − {drawable(each.worse)}" for each in tuples(data)])
