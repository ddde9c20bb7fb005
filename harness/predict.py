"""Predict the class of one image with a tracked run's model, as in the chapter's last step."""

import json
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from harness.config import AnyDatasetConfig, DatasetConfig, FrozenModel, OwnModelConfig, RunConfig, parse_config
from harness.config.registry import Dataset
from harness.errors import BadInputError, DamagedFileError, RefusedError, described
from harness.pictures import as_image_of
from harness.records import CONFIG_ARTIFACT, STATE_ARTIFACT, Tag
from harness.tracking.read import read_artifact, read_run
from harness.training.data import class_names, load_splits
from harness.training.images import normalize, picture
from harness.training.loop import build_model
from harness.training.networks import log_probabilities
from harness.training.state import RunState

Pixel = int | tuple[int, int, int]


class Prediction(FrozenModel):
    """Hold the model's prediction for one image.

    `prediction` and `ground_truth` are class indices; `ground_truth` is None for an image from a file.
    `probabilities` has one value per class. `pixels` are the rows of the picture of the model's input, with values
    from 0 to 255; for MNIST, 28 rows of 28, light on dark. A pixel in colour is (red, green, blue). The picture of a
    large image is smaller, and a row of features has no pixels.
    """

    run_id: str
    image: str
    prediction: int
    ground_truth: int | None
    probabilities: tuple[float, ...]
    class_names: tuple[str, ...]
    pixels: tuple[tuple[Pixel, ...], ...]


def predict_test_image(run_id: str, index: int, data_dir: Path | None = None) -> Prediction:
    """Predict the class of the test image `index` with the model of a tracked run.

    Raises:
        BadInputError: the run or its state does not exist, the index is outside the test set, the model's outputs are
            not finite, or a user's own model fails.
        DamagedFileError: the state differs from the recorded state.
    """
    config, state = read_model(run_id)
    test = load_splits(config.dataset, "cpu", data_dir).test
    if not 0 <= index < len(test):
        raise BadInputError(
            "`index`", index, expected=f"0 to {len(test) - 1} (the test set)", next_step="choose another index"
        )
    truth = int(test.labels[index])
    image = test.images[index]
    name = f"test {'row' if image.dim() == 1 else 'image'} {index}"
    return _predict_guarded(run_id, name, config, state, image, truth)


def predict_image_file(run_id: str, path: Path) -> Prediction:
    """Predict the class of an image file with the model of a tracked run.

    The image may have any size, be in colour or grey, dark on light or light on dark, and be transparent.

    Raises:
        BadInputError: the run or its state does not exist; its dataset is a user's own or a table; the file is not an
            image, is blank, or has a mode with an unknown range of values; the model's outputs are not finite; or a
            user's own model fails.
        DamagedFileError: the state differs from the recorded state.
    """
    config, state = read_model(run_id)
    dataset = _of_pictures(config.dataset, path)
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
        pixels = as_image_of(dataset, image)
    except ValueError as error:
        raise BadInputError(
            "`image`", str(path), f"has {error}", next_step="save it as a PNG with 8 bits per channel"
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


def _of_pictures(config: AnyDatasetConfig, path: Path) -> Dataset:
    """Return the description of a dataset whose preparation of a picture is known.

    Raises:
        BadInputError: the dataset is a user's own, or a table.
    """
    if isinstance(config, DatasetConfig) and not config.known.is_table:
        return config.known
    what = f"how {config.name!r} prepares its images is not known"
    if isinstance(config, DatasetConfig):
        what = f"{config.name!r} has rows of {config.known.shape[0]} features"
    raise BadInputError(
        "`image`",
        str(path),
        f"is a picture, and {what}",
        expected="an image or row of its test set",
        next_step="choose one with `index`",
    )


def read_model(run_id: str) -> tuple[RunConfig, RunState]:
    """Return the config and final state of a tracked run, after a check of the state against its recorded hash.

    Raises:
        BadInputError: the run or its state does not exist.
        DamagedFileError: the state differs from the recorded state.
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
            expected="the code with which it was trained",
            next_step="restore the code, or choose another run",
        ) from None


def _predict(
    run_id: str, name: str, config: RunConfig, state: RunState, image: Tensor, truth: int | None
) -> Prediction:
    with torch.no_grad():
        outputs = build_model(config, state)(normalize(image.unsqueeze(0), config.dataset))
        probabilities = log_probabilities(outputs, config.model).exp()[0]
    if not bool(probabilities.isfinite().all()):  # the state of a run that diverged is finite, but very large
        raise BadInputError(
            "run",
            run_id,
            f"has a model whose outputs for {name} are not finite",
            expected="a run that has not diverged",
            next_step="choose another run",
        )
    return Prediction(
        run_id=run_id,
        image=name,
        prediction=int(probabilities.argmax()),
        ground_truth=truth,
        probabilities=tuple(probabilities.tolist()),
        class_names=class_names(config.dataset, len(probabilities)),
        pixels=_rows(picture(image)),
    )


def _rows(shown: Tensor | None) -> tuple[tuple[Pixel, ...], ...]:
    if shown is None:
        return ()
    return tuple(tuple(tuple(each) if isinstance(each, list) else each for each in row) for row in shown.tolist())


def _damaged(run_id: str, actual: str, expected: str | None) -> DamagedFileError:
    return DamagedFileError(
        "state of run",
        run_id,
        f"is damaged, with hash {actual}",
        expected=f"hash {expected}",
        next_step="choose another run, or train again",
    )
