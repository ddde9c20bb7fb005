"""Predict the class of one image with a tracked run's model, as in the chapter's last step."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage
from torch import Tensor

from harness.config import FrozenModel, OwnDatasetConfig, OwnModelConfig, RunConfig, parse_config
from harness.errors import BadInputError, DamagedFileError, RefusedError, described
from harness.records import CONFIG_ARTIFACT, STATE_ARTIFACT, Tag
from harness.tracking.read import read_artifact, read_run
from harness.training.data import class_names, load_splits
from harness.training.images import normalize, picture
from harness.training.loop import build_model
from harness.training.networks import log_probabilities
from harness.training.state import RunState

SIDE = 28
DIGIT_SIDE = 20


class Prediction(FrozenModel):
    """The model's prediction for one image.

    `prediction` and `ground_truth` are class indices; `probabilities` has one value per class; `pixels` is the input
    of the model as 28 rows of 28 (0-255, light on dark), empty for a row of features. `ground_truth` is None for an
    image from a file.
    """

    run_id: str
    image: str
    prediction: int
    ground_truth: int | None
    probabilities: tuple[float, ...]
    class_names: tuple[str, ...]
    pixels: tuple[tuple[int, ...], ...]


def predict_test_image(run_id: str, index: int, data_dir: Path | None = None) -> Prediction:
    """Predict the class of the test image `index` with the model of a tracked run.

    Raises:
        BadInputError: no such run, no state in it, the index is outside the test set, or a user's own model fails.
        DamagedFileError: the state is not the one that was recorded.
    """
    config, state = read_model(run_id)
    test = load_splits(config.dataset, "cpu", data_dir).test
    if not 0 <= index < len(test):
        raise BadInputError(
            "`index`", index, expected=f"0 to {len(test) - 1}, the test set", next_step="choose another"
        )
    truth = int(test.labels[index])
    image = test.images[index]
    name = f"test {'row' if image.dim() == 1 else 'image'} {index}"
    return _predict_guarded(run_id, name, config, state, image, truth)


def predict_image_file(run_id: str, path: Path) -> Prediction:
    """Predict the class of an image file with the model of a tracked run.

    The image may have any size, be in colour or grey, dark on light or light on dark, and be transparent.

    Raises:
        BadInputError: no such run, no state in it, its dataset is a user's own, the file is no image, is blank or has
            a mode with an unknown range of values, or a user's own model fails.
        DamagedFileError: the state is not the one that was recorded.
    """
    config, state = read_model(run_id)
    if isinstance(config.dataset, OwnDatasetConfig):
        raise BadInputError(
            "`image`",
            str(path),
            f"is a picture, and how {config.dataset.name!r} prepares its images is not known",
            expected="an image of its test set",
            next_step="choose one with `index`",
        )
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
    except Exception as error:  # a damaged file makes Pillow's decoders raise errors of any kind
        raise BadInputError(
            "`image`",
            str(path),
            f"can't be read as an image ({type(error).__name__})",
            expected="a PNG, JPEG or other picture that Pillow reads",
            next_step="choose another file",
        ) from None
    try:
        pixels = as_mnist(image)
    except ValueError as error:
        raise BadInputError(
            "`image`", str(path), f"has {error}", next_step="save it as a PNG of 8 bits a channel"
        ) from None
    if pixels is None:
        raise BadInputError(
            "`image`",
            str(path),
            "is blank",
            expected="a picture with a figure on a background",
            next_step="choose another file",
        )
    return _predict_guarded(run_id, str(path), config, state, torch.from_numpy(pixels), None)


def read_model(run_id: str) -> tuple[RunConfig, RunState]:
    """Return the config and final state of a tracked run, after a check of the state against its recorded hash.

    Raises:
        BadInputError: no such run, or no state in it.
        DamagedFileError: the state is not the one that was recorded.
    """
    config = parse_config(json.loads(read_artifact(run_id, CONFIG_ARTIFACT)))
    content = read_artifact(run_id, STATE_ARTIFACT)
    expected = read_run(run_id).data.tags.get(Tag.STATE_HASH)
    try:
        state = RunState.from_bytes(content)
        actual = state.hash()
    except (RuntimeError, TypeError, EOFError, ValueError) as error:
        raise _damaged(run_id, f"unreadable ({type(error).__name__})", expected) from None
    if actual != expected:
        raise _damaged(run_id, actual, expected)
    return config, state


def as_mnist(image: Image.Image) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]] | None:
    """Return the picture prepared as MNIST's images were, uint8 (28, 28); None where it is blank.

    The figure is light on dark, scaled to fit into 20 × 20 pixels, with its centre of mass in the middle of 28 × 28
    (LeCun et al. 1998, section III.A). A picture of 28 × 28 pixels is taken to be prepared already.

    Raises:
        ValueError: the range of the picture's mode or values is not known.
    """
    grey = _light_on_dark(_on_contrasting_ground(_with_eight_bits(image)))
    if grey.getextrema()[1] == grey.getextrema()[0]:
        return None
    if grey.size == (SIDE, SIDE):
        return np.array(grey)
    stretched = ImageOps.autocontrast(grey)
    box = stretched.point(lambda value: 255 if value > 64 else 0).getbbox()
    figure = ImageOps.contain(stretched.crop(box), (DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.LANCZOS)
    row, column = ndimage.center_of_mass(np.asarray(figure))
    ground = Image.new("L", (SIDE, SIDE))
    ground.paste(figure, (_offset(column, figure.width), _offset(row, figure.height)))
    return np.array(ground)  # a writable copy, as torch wants it


def _with_eight_bits(image: Image.Image) -> Image.Image:
    """Return the picture with 0 to 255 per channel, scaled from the range of its own mode.

    32-bit integers and floating-point numbers have no such range; the smallest usual range that holds the picture's
    values is used.
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


def _offset(centre: float, length: int) -> int:
    """Return the offset that moves `centre` to the middle and keeps the figure inside the picture."""
    return min(max(round(SIDE / 2 - 0.5 - centre), 0), SIDE - length)


def _predict_guarded(
    run_id: str, name: str, config: RunConfig, state: RunState, image: Tensor, truth: int | None
) -> Prediction:
    try:
        return _predict(run_id, name, config, state, image, truth)
    except Exception as error:
        if not isinstance(config.model, OwnModelConfig) or isinstance(error, RefusedError):
            raise
        raise BadInputError(
            "model",
            config.model.name,
            f"of run {run_id!r} fails on {name} ({described(error)})",
            expected="the code that it was trained with",
            next_step="restore it, or choose another run",
        ) from None


def _predict(
    run_id: str, name: str, config: RunConfig, state: RunState, image: Tensor, truth: int | None
) -> Prediction:
    with torch.no_grad():
        outputs = build_model(config, state)(normalize(image.unsqueeze(0)))
        probabilities = log_probabilities(outputs, config.model).exp()[0]
    return Prediction(
        run_id=run_id,
        image=name,
        prediction=int(probabilities.argmax()),
        ground_truth=truth,
        probabilities=tuple(probabilities.tolist()),
        class_names=class_names(config.dataset, len(probabilities)),
        pixels=_rows(picture(image)),
    )


def _rows(shown: Tensor | None) -> tuple[tuple[int, ...], ...]:
    return () if shown is None else tuple(tuple(row) for row in shown.tolist())


def _damaged(run_id: str, actual: str, expected: str | None) -> DamagedFileError:
    return DamagedFileError(
        "state of run",
        run_id,
        f"is damaged, with hash {actual}",
        expected=f"hash {expected}",
        next_step="choose another run, or train again",
    )
