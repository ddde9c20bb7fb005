"""Draw an optimizer's marker in its colour, as a small picture beside its name."""

import numpy as np
from matplotlib.markers import MarkerStyle

from reports.figures.style import Look

CIRCLE = '<circle r="0.45"/>'


def chip(look: Look) -> str:
    """Return the marker as inline SVG, hidden from screen readers since the name stands beside it."""
    style = MarkerStyle(look.marker)
    points = np.asarray(style.get_path().transformed(style.get_transform()).vertices)
    ends = " ".join(f"{x:.2f},{-y:.2f}" for x, y in points)
    shape = CIRCLE if look.marker == "o" else f'<polygon points="{ends}"/>'
    return f'<svg class="chip" viewBox="-.6 -.6 1.2 1.2" fill="{look.colour}" aria-hidden="true">{shape}</svg>'
