"""One image as a model saw it, beside the probabilities that it gives the classes."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from reports.figures.style import COLOURS, figure, styled


def prediction(
    pixels: Sequence[Sequence[int]], probabilities: Sequence[float], class_names: Sequence[str], title: str
) -> Figure:
    """An image (28 × 28, 0-255) beside the model's probabilities of its classes."""
    with styled():
        drawn = figure("page", 3.4)
        left, right = drawn.subplots(1, 2, width_ratios=[1, 1.2])
        left.imshow(pixels, cmap="gray", vmin=0, vmax=255)
        left.set_axis_off()
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        right.barh(class_names, probabilities, color=[COLOURS[0] if i == best else COLOURS[7] for i in range(10)])
        right.invert_yaxis()
        right.set_xlim(0, 1)
        right.set_xlabel("probability")
        right.grid(visible=False)
        drawn.suptitle(title, fontsize=11)
        return drawn
