"""Draw a confusion matrix as a picture, which MLflow shows among a run's artifacts."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.colours import COLOURS, INK
from harness.records import Mistakes

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

CELL, LEFT, TOP, EDGE = 44, 104, 140, 12  # pixels: side of a cell, left margin, top margin, right and bottom margin
LONGEST, UPRIGHT = 12, 4  # characters of a class name: shown at most, and shown without rotation
LEAST_WIDTH = 320  # pixels, for the text at the top
MOST_CLASSES = 40  # with more classes, the picture would be larger than a screen
RIGHT, WRONG = COLOURS[0], COLOURS[1]


def draw_confusion(mistakes: Mistakes) -> bytes | None:
    """Return a PNG of the confusion matrix, with one colour for right and one for wrong predictions.

    Each colour has its own scale, so that the few mistakes of a good model stay visible. Return None for more than
    `MOST_CLASSES` classes. The same mistakes give the same bytes.
    """
    # imported here, because only runs that were measured on the test set need Pillow
    from PIL import Image, ImageDraw

    classes = len(mistakes.class_names)
    if classes > MOST_CLASSES:
        return None
    size = max(LEAST_WIDTH, LEFT + classes * CELL + EDGE), TOP + classes * CELL + EDGE
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for row, column, count, share in _cells(mistakes.confusion):
        _draw_cell(draw, row, column, count, share)
    for place, name in enumerate(mistakes.class_names):
        middle = place * CELL + CELL / 2 - 1
        _write(draw, (LEFT - 8, TOP + middle), name[:LONGEST], "rm")
        if len(name) <= UPRIGHT:
            _write(draw, (LEFT + middle, TOP - 8), name, "ms")
            continue
        turned = Image.new("RGB", (TOP - 50, 18), "white")
        _write(ImageDraw.Draw(turned), (0, 9), name[:LONGEST], "lm")
        image.paste(turned.rotate(90, expand=True), (int(LEFT + middle) - 9, 42))
    total = sum(map(sum, mistakes.confusion))
    missed = total - sum(mistakes.confusion[each][each] for each in range(classes))
    _write(draw, (8, 8), f"{missed:,} of {total:,} test images are misclassified", "la")
    _write(draw, (8, 24), "rows: true class; columns: predicted class", "la")
    stored = io.BytesIO()
    image.save(stored, "PNG")
    return stored.getvalue()


def _cells(counts: tuple[tuple[int, ...], ...]) -> Iterator[tuple[int, int, int, float]]:
    """Yield row, column, count, and the count divided by the largest count of the same colour."""
    every = [(row, column, count) for row, of_row in enumerate(counts) for column, count in enumerate(of_row)]
    most = {right: max([1, *(n for row, column, n in every if (row == column) is right)]) for right in (True, False)}
    for row, column, count in every:
        yield row, column, count, count / most[row == column]


def _draw_cell(draw: "ImageDraw", row: int, column: int, count: int, share: float) -> None:
    left, top = LEFT + column * CELL, TOP + row * CELL
    colour = RIGHT if row == column else WRONG
    parts = (int(colour[first : first + 2], 16) for first in (1, 3, 5))
    ground = "#" + "".join(f"{round(255 - share * (255 - part)):02x}" for part in parts)
    draw.rectangle((left, top, left + CELL - 2, top + CELL - 2), fill=ground)
    if count:
        middle = CELL / 2 - 1
        _write(draw, (left + middle, top + middle), str(count), "mm", "white" if share > 0.6 else INK)


def _write(draw: "ImageDraw", place: tuple[float, float], text: str, anchor: str, ink: str = INK) -> None:
    from PIL import ImageFont

    draw.text(place, text, ink, ImageFont.load_default(13), anchor=anchor)
