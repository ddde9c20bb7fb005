"""Draw one image as a model sees it, beside the probabilities that the model gives the classes."""

from collections.abc import Sequence

from harness.colours import COLOURS
from reports.figures.style import Drawn, figure, styled


def prediction(
    pixels: Sequence[Sequence[object]], probabilities: Sequence[float], class_names: Sequence[str], title: str
) -> Drawn:
    """Draw an image beside the class probabilities; for a row of features, only the probabilities.

    `pixels` are rows of values from 0 to 255; a pixel in colour is (red, green, blue).
    """
    with styled():
        drawn = figure("page", max(3.4, 1 + 0.16 * len(probabilities)))
        if pixels:
            left, right = drawn.subplots(1, 2, width_ratios=[1, 1.2])
            left.imshow(pixels, cmap="gray", vmin=0, vmax=255)
            left.set_axis_off()
        else:
            right = drawn.subplots()
        colours = [COLOURS[7]] * len(probabilities)
        colours[max(range(len(probabilities)), key=probabilities.__getitem__)] = COLOURS[0]
        right.barh(class_names, probabilities, color=colours)
        right.invert_yaxis()
        right.set_xlim(0, 1)
        right.set_xlabel("probability")
        right.grid(visible=False)
        drawn.suptitle(title, fontsize=11)
        return drawn
