"""Winners at the edge of what was searched: an optimizer whose best is there is not fully tuned."""

import math
from collections.abc import Mapping
from typing import Any

OUTER = 0.1  # of the range at either end, on the scale on which it was searched


def edges(winner: Mapping[str, Any], searched: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Each field of a winner that is in the outer tenth of its range, in words, with the side to widen.

    `searched` holds the ranges as the sweep's definition has them. A range that begins at 0 ends there by nature.
    """
    found = []
    for key, dimension in searched.items():
        side = None if dimension["kind"] != "range" else _side(float(winner[key]), dimension)
        if side is not None:
            found.append(f"{key} {float(winner[key]):.3g}, widen {side}")
    return found


def _side(value: float, dimension: Mapping[str, Any]) -> str | None:
    drawn = 1 - value if dimension["complement"] else value
    scale = math.log if dimension["log"] else float
    low, high = scale(dimension["low"]), scale(dimension["high"])
    position = (scale(drawn) - low) / (high - low)
    sides = ("above", "below") if dimension["complement"] else ("below", "above")
    if position < OUTER:
        return None if dimension["low"] == 0 else sides[0]
    return sides[1] if position > 1 - OUTER else None
