"""Prepare a user's picture in the way in which the makers of a dataset prepared its images."""

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from harness.config.registry import Dataset

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def as_image_of(dataset: Dataset, image: Image.Image) -> Pixels | None:
    """Return a picture prepared like the dataset's images, uint8 (height, width) or (channels, height, width).

    Return None for a blank picture.

    Raises:
        ValueError: the range of the picture's mode or values is unknown.
    """
    channels, height, _ = dataset.shape
    if channels == 1:
        return as_figure(image, height, dataset.figure or height)
    return as_photograph(image, height)


def as_photograph(image: Image.Image, side: int) -> Pixels | None:
    """Return the middle of a picture in colour, scaled to uint8 (3, side, side); transparent parts become white.

    Return None for a blank picture.

    Raises:
        ValueError: the range of the picture's mode or values is unknown.
    """
    rgba = _with_eight_bits(image).convert("RGBA")
    colour = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if len(colour.getcolors(2) or ()) == 1:
        return None
    return np.asarray(ImageOps.fit(colour, (side, side), Image.Resampling.LANCZOS)).transpose(2, 0, 1).copy()


def as_figure(image: Image.Image, side: int, figure_side: int) -> Pixels | None:
    """Return a picture in grey, uint8 (side, side), prepared like MNIST's images (LeCun et al. 1998, section III.A).

    The figure is light on dark, scaled to fit into a square of `figure_side` pixels (20 for MNIST), with its centre
    of mass in the middle of the image (28 × 28 for MNIST). A picture that already has the size of the image is only
    made grey and light on dark. Return None for a blank picture.

    Raises:
        ValueError: the range of the picture's mode or values is unknown.
    """
    grey = _light_on_dark(_on_contrasting_ground(_with_eight_bits(image)))
    if grey.getextrema()[1] == grey.getextrema()[0]:
        return None
    if grey.size == (side, side):
        return np.array(grey)
    stretched = ImageOps.autocontrast(grey)
    box = stretched.point(lambda value: 255 if value > 64 else 0).getbbox()
    figure = ImageOps.contain(stretched.crop(box), (figure_side, figure_side), Image.Resampling.LANCZOS)
    row, column = ndimage.center_of_mass(np.asarray(figure))
    ground = Image.new("L", (side, side))
    ground.paste(figure, (_offset(column, figure.width, side), _offset(row, figure.height, side)))
    return np.array(ground)  # a copy, which torch can write to


def _with_eight_bits(image: Image.Image) -> Image.Image:
    """Return the picture with 0 to 255 per channel, scaled from the range of its own mode.

    32-bit integers and floating-point numbers have no such range; the smallest usual range that holds the picture's
    values is used.

    Raises:
        ValueError: the mode is unknown, or the values fit no usual range.
    """
    if not image.mode.startswith(("I", "F")):
        try:
            return image.convert("RGBA")
        except ValueError:
            raise ValueError(f"mode {image.mode!r}: expected grey or colour of 8 or 16 bits") from None
    values = np.asarray(image, dtype=np.float64)
    ranges = {"I": (255, 65_535), "F": (1, 255)}.get(image.mode, (65_535,))
    low, high = float(values.min()), float(values.max())
    top = next((each for each in ranges if 0 <= low <= high <= each), None)
    if top is None:
        wanted = " or ".join(f"0 to {each}" for each in ranges)
        raise ValueError(f"mode {image.mode!r} with values from {low:g} to {high:g}: expected {wanted}")
    return Image.fromarray((values * (255 / top)).round().astype(np.uint8))


def _on_contrasting_ground(image: Image.Image) -> Image.Image:
    """Return the picture in grey, on white if its opaque part is dark and on black if it is light."""
    rgba = image.convert("RGBA")
    alpha = np.asarray(rgba.getchannel("A"))
    grey = np.asarray(rgba.convert("L"))
    opaque = grey[alpha > 127]
    ground = 255 if len(opaque) and opaque.mean() < 128 else 0
    below = Image.new("RGBA", rgba.size, (ground, ground, ground, 255))
    return Image.alpha_composite(below, rgba).convert("L")


def _light_on_dark(grey: Image.Image) -> Image.Image:
    """Return the picture, inverted if its border (the background) is lighter than the middle of the range."""
    pixels = np.asarray(grey)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    middle = (float(pixels.min()) + float(pixels.max())) / 2
    return ImageOps.invert(grey) if np.median(border) > middle else grey


def _offset(centre: float, length: int, side: int) -> int:
    """Return the offset that moves `centre` to the middle and keeps the figure inside the picture."""
    return min(max(round(side / 2 - 0.5 - centre), 0), side - length)
