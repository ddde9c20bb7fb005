"""Find winners at the edge of a searched range: such an optimizer is not fully tuned."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from studies.space import Range, Space

OUTER = 0.1  # share of the range that is its edge, at either end, on the searched scale


class Edge(NamedTuple):
    """A winner's value at an end of its range, and the side on which to widen the range."""

    key: str
    value: float
    side: Literal["below", "above"]

    @property
    def next_step(self) -> str:
        """Return what to change in the range."""
        return f"widen {self.side}"

    def __str__(self) -> str:
        """Return the edge in words."""
        return f"{self.key} {self.value:.3g}, {self.next_step}"


def edges(values: Mapping[str, Any], searched: Space) -> tuple[Edge, ...]:
    """Return the values that lie in the outer tenth of their range.

    A range that begins at 0 can't be widened below 0; nor above 1 if it is a range of 1 - value.
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
