"""A person's picture as a dataset's makers prepared theirs, whatever it looks like."""

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from harness.config.registry import Dataset

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def as_image_of(dataset: Dataset, image: Image.Image) -> Pixels | None:
    """A picture as the dataset's images are, (height, width) or (channels, height, width); None where it is blank.

    Raises:
        ValueError: it is of a mode, or has values, whose range is not known.
    """
    channels, height, _ = dataset.shape
    if channels == 1:
        return as_figure(image, height, dataset.figure or height)
    return as_photograph(image, height)


def as_photograph(image: Image.Image, side: int) -> Pixels | None:
    """A picture in colour (3, side, side): its middle, scaled. What is transparent is white.

    Raises:
        ValueError: as `as_image_of`.
    """
    rgba = _with_eight_bits(image).convert("RGBA")
    colour = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if len(colour.getcolors(2) or ()) == 1:
        return None
    return np.asarray(ImageOps.fit(colour, (side, side), Image.Resampling.LANCZOS)).transpose(2, 0, 1).copy()


def as_figure(image: Image.Image, side: int, figure_side: int) -> Pixels | None:
    """A picture in grey (side, side) as MNIST's makers prepared theirs (LeCun et al. 1998, section III.A).

    Light on dark, the figure fitted into a square, MNIST's 20 × 20 pixels, with its proportions, its centre of mass
    in the middle, of MNIST's 28 × 28. A picture of that size is taken to be prepared already.

    Raises:
        ValueError: as `as_image_of`.
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
    return np.array(ground)  # a copy, which torch may own


def _with_eight_bits(image: Image.Image) -> Image.Image:
    """The picture in a mode of 0 to 255 a channel, scaled from the range of its own.

    Whole numbers of 32 bits and floating-point ones have none, so it is the least usual one that their values fit.
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
    """Grey, with what is transparent made white behind a dark figure and black behind a light one."""
    rgba = image.convert("RGBA")
    alpha = np.asarray(rgba.getchannel("A"))
    grey = np.asarray(rgba.convert("L"))
    opaque = grey[alpha > 127]
    ground = 255 if len(opaque) and opaque.mean() < 128 else 0
    below = Image.new("RGBA", rgba.size, (ground, ground, ground, 255))
    return Image.alpha_composite(below, rgba).convert("L")


def _light_on_dark(grey: Image.Image) -> Image.Image:
    """Inverted where the border, which is ground, is lighter than the middle of the range."""
    pixels = np.asarray(grey)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    middle = (float(pixels.min()) + float(pixels.max())) / 2
    return ImageOps.invert(grey) if np.median(border) > middle else grey


def _offset(centre: float, length: int, side: int) -> int:
    """Where to paste so that `centre` comes to the middle, inside the picture."""
    return min(max(round(side / 2 - 0.5 - centre), 0), side - length)
