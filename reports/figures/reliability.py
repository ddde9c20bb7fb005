"""Show reliability: how many finals of each optimizer were lost or spoilt, with an upper bound."""

from functools import partial

import pandas as pd

from reports.computed import Computed
from reports.figures.style import Drawn, Looks, Picture, Width, figure, interval, looks, name_scale, rows, tuples
from studies.verdicts import largest_share


def reliability(of: Computed) -> Picture | str:
    """Show the share of lost or spoilt finals with its upper bound; return text if every final was sound."""
    data = pd.DataFrame(
        {
            "optimizer": row["optimizer"],
            "finals": row["seeds"] + row["lost_finals"],
            "bad": row["spoilt_finals"] + row["lost_finals"],
        }
        for row in of.summary.to_dict("records")
        if row["seeds"] + row["lost_finals"]
    )
    if not len(data) or len(of.optimizers) < 2:
        return ""
    data["share"] = 100 * data["bad"] / data["finals"]
    data["most"] = [100 * largest_share(bad, finals) for bad, finals in zip(data["bad"], data["finals"], strict=True)]
    if not data["bad"].any():
        finals, most = data["finals"].min(), data["most"].max()
        of_so_many = f"{finals} final{'' if finals == 1 else 's'}"
        return f"reliability (no final was lost or spoilt; with {of_so_many} the true share can still be {most:.0f}%)"
    said = ", ".join(f"{each.bad} of {each.finals} finals of {each.optimizer}" for each in tuples(data) if each.bad)
    return Picture(data, f"Lost or spoilt: {said}.", partial(_draw, looks(of.optimizers)))


def _draw(looks: Looks, data: pd.DataFrame, width: Width) -> Drawn:
    drawn = figure(width, 0.65 + 0.2 * len(data))
    axis = drawn.subplots()
    for row, each in enumerate(tuples(data)):
        look = looks[str(each.optimizer)]
        interval(drawn, axis, row, (0.0, float(each.most)), look.colour, [look])
        (point,) = axis.plot([each.share], [row], look.marker, color=look.colour)
        drawn.tag(point, [look], f"{each.optimizer}: {each.bad} of {each.finals} finals")
    rows(axis, [looks[name].label for name in data["optimizer"]])
    parts = ("lost or spoilt finals (%)", "line: upper bound, 95% confidence")
    name_scale(drawn, axis, "; ".join(parts), width)
    axis.set_xlim(-2, 102)
    return drawn
