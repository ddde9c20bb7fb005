"""The chapter's last step: a tracked run's model looks at one image. Image, prediction, ground truth."""

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
    """What the model says of one image.

    `prediction` and `ground_truth` are class indices, `probabilities` are by class, `pixels` is 28 rows of 28 (0-255,
    light on dark) as the model saw them, none for a row of features. A person's own image has no ground truth.
    """

    run_id: str
    image: str
    prediction: int
    ground_truth: int | None
    probabilities: tuple[float, ...]
    class_names: tuple[str, ...]
    pixels: tuple[tuple[int, ...], ...]


def predict_test_image(run_id: str, index: int, data_dir: Path | None = None) -> Prediction:
    """The model of a tracked run on the test image of that index.

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
    """The model of a tracked run on a person's image: any size, colour or grey, either polarity, transparent or not.

    Raises:
        BadInputError: no such run, no state in it, its images are a user's own, the file is no image, blank, or of a
            mode whose range is not known, or a user's own model fails.
        DamagedFileError: the state is not the one that was recorded.
    """
    config, state = read_model(run_id)
    if isinstance(config.dataset, OwnDatasetConfig):
        raise BadInputError(
            "`image`",
            str(path),
            f"is a picture, and how {config.dataset.name!r} makes an image of a picture is not known",
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
            expected="a picture with a figure on a ground",
            next_step="choose another file",
        )
    return _predict_guarded(run_id, str(path), config, state, torch.from_numpy(pixels), None)


def read_model(run_id: str) -> tuple[RunConfig, RunState]:
    """The config and final state of a tracked run, the state checked against its recorded hash.

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
    """A picture as MNIST's makers prepared theirs; None where it is blank.

    Light on dark, the figure fitted into 20 × 20 pixels with its proportions, its centre of mass in the middle of
    28 × 28 (LeCun et al. 1998, section III.A). A picture of 28 × 28 is taken to be prepared already.

    Raises:
        ValueError: it is of a mode, or has values, whose range is not known.
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


def _offset(centre: float, length: int) -> int:
    """Where to paste so that `centre` comes to the middle, inside the picture."""
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
