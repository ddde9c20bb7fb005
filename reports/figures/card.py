"""Draw the card: the answer of a sweep as one picture to share."""

import textwrap

from reports.computed import Computed
from reports.figures.differences import draw_differences
from reports.figures.style import Drawn, Picture, dots, drawable, looks, rows, up_to_100

SIZE = (12, 6.3)  # inches; at 100 dots per inch, the size that messengers and social networks show in full
LONGEST = 260  # characters of the answer


def card(of: Computed, title: str, answer: str, shown: Picture | None, warning: str = "") -> Drawn:
    """Draw the card: the title, the answer, and below it the differences, or the finals before there are any.

    The `warning` is what a reader must know who sees only the card.
    """
    drawn = Drawn(figsize=SIZE, layout="none")
    drawn.text(0.05, 0.92, drawable(title, 90), fontsize=15, va="top")
    said = textwrap.fill(drawable(" ".join(answer.split()), LONGEST), 64)
    drawn.text(0.05, 0.83, said, fontsize=21, fontweight="bold", va="top", linespacing=1.25)
    drawn.text(0.05, 0.875, warning, fontsize=12, va="top")
    lines = said.count("\n") + 1
    if shown is not None:
        height = 0.83 - 0.075 * lines - 0.2
        axis = drawn.add_axes((0.2, 0.13, 0.6, max(0.2, height)))
        axis.tick_params(labelsize=12)
        by_look = looks(of.optimizers)
        if "verdict" in shown.data:
            draw_differences(drawn, axis, shown.data, of.verdicts.margin, by_look)
            intervals = f"simultaneous {of.verdicts.confidence:.0%} intervals"
            axis.set_xlabel(f"difference in test accuracy (points), {intervals}", fontsize=12)
        else:
            dots(drawn, axis, shown.data, "test_accuracy", "row", by_look, s=60)
            rows(axis, [by_look[name].label for name in dict.fromkeys(shown.data["optimizer"])])
            up_to_100(axis)
            axis.set_xlabel("test accuracy (%), one point per seed", fontsize=12)
        for text in axis.texts:
            text.set_fontsize(12)
    return drawn
