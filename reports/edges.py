"""Winners at the edge of what was searched: an optimizer whose best is there is not fully tuned."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from studies.space import Range, Space

OUTER = 0.1  # of the range at either end, on the scale on which it was searched


class Edge(NamedTuple):
    """A value of a winner at an end of its range, and the side on which to widen it."""

    key: str
    value: float
    side: Literal["below", "above"]

    @property
    def next_step(self) -> str:
        """What to do about it."""
        return f"widen {self.side}"

    def __str__(self) -> str:
        """Return the edge in words."""
        return f"{self.key} {self.value:.3g}, {self.next_step}"


def edges(values: Mapping[str, Any], searched: Space) -> tuple[Edge, ...]:
    """Return each of these values that is in the outer tenth of its range.

    A range that begins at 0 ends there by nature, and one of 1 - value that does so ends at 1.
    """
    found = []
    for key, value in values.items():
        dimension = searched[key]
        side = _side(float(value), dimension) if isinstance(dimension, Range) else None
        if side is not None:
            found.append(Edge(key, float(value), side))
    return tuple(found)


def _side(value: float, searched: Range) -> Literal["below", "above"] | None:
    position, natural = searched.position(value), 1.0 if searched.complement else 0.0
    if position < OUTER and searched.ends[0] != natural:
        return "below"
    return "above" if position > 1 - OUTER and searched.ends[1] != natural else None
