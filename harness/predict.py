"""The chapter's last step: a tracked run's model looks at one image. Image, prediction, ground truth."""

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
    """What the model says of one image.

    `prediction` and `ground_truth` are class indices, `probabilities` are by class. `pixels` are rows of them as the
    model saw them: of MNIST 28 rows of 28 (0-255, light on dark); in colour each is red, green and blue; of a large
    image they are fewer, and of a row of features none. A person's own image has no ground truth.
    """

    run_id: str
    image: str
    prediction: int
    ground_truth: int | None
    probabilities: tuple[float, ...]
    class_names: tuple[str, ...]
    pixels: tuple[tuple[Pixel, ...], ...]


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
        BadInputError: no such run, no state in it, its images are a user's own or rows, the file is no image, blank,
            or of a mode whose range is not known, or a user's own model fails.
        DamagedFileError: the state is not the one that was recorded.
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


def _of_pictures(config: AnyDatasetConfig, path: Path) -> Dataset:
    """Return what is known of a dataset whose images can be made of a picture.

    Raises:
        BadInputError: they can't.
    """
    if isinstance(config, DatasetConfig) and not config.known.is_table:
        return config.known
    what = f"how {config.name!r} makes an image of a picture is not known"
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
        outputs = build_model(config, state)(normalize(image.unsqueeze(0), config.dataset))
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
