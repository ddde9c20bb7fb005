"""A final's confusion matrix is a picture that shows its counts, of any names and of as many classes as have room."""

import io

import pytest
from PIL import Image

from harness.config import DATASETS
from harness.confusion import CELL, LEAST_WIDTH, LEFT, MOST_CLASSES, TOP, draw_confusion
from harness.records import Mistakes


def mistakes(counts, names):
    return Mistakes(class_names=names, confusion=counts, most_confident=())


def corner(image, row, column):
    """The ground of a cell, beside its count."""
    return image.getpixel((LEFT + column * CELL + 2, TOP + row * CELL + 2))


def drawn(counts, names):
    return Image.open(io.BytesIO(draw_confusion(mistakes(counts, names))))


def test_cells_with_more_mistakes_are_darker_even_if_nearly_all_images_are_right():
    image = drawn(((980, 1, 0), (2, 985, 0), (0, 8, 1000)), ("zero", "one", "two"))
    brightness = {each: sum(corner(image, *each)) for each in ((0, 1), (1, 0), (2, 1), (0, 2))}
    assert brightness[2, 1] < brightness[1, 0] < brightness[0, 1] < brightness[0, 2] == 3 * 255


def test_right_and_wrong_predictions_differ_in_colour():
    image = drawn(((5, 5), (0, 5)), ("a", "b"))
    assert corner(image, 0, 0) == corner(image, 1, 1) != corner(image, 0, 1)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_picture_has_all_classes_and_room_for_their_names(name):
    names = DATASETS[name].class_names
    counts = tuple(tuple(3 + row + column for column in range(10)) for row in range(10))
    image = drawn(counts, names)
    assert image.width > LEFT + 10 * CELL
    assert image.height > TOP + 10 * CELL
    assert corner(image, 9, 9) != (255, 255, 255)


def test_a_picture_of_one_class_without_images_can_be_drawn():
    assert drawn(((0,),), ("\u6570 with a long name",)).width == LEAST_WIDTH


def test_the_same_mistakes_give_the_same_bytes():
    same = mistakes(((3, 1), (0, 4)), ("a", "b"))
    assert draw_confusion(same) == draw_confusion(same)


def test_too_many_classes_for_the_picture_give_no_picture():
    classes = MOST_CLASSES + 1
    counts = tuple((1,) * classes for _ in range(classes))
    assert draw_confusion(mistakes(counts, tuple(map(str, range(classes))))) is None
