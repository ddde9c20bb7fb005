"""The chapter's last step: a tracked run's model looks at one image. Image, prediction, ground truth."""

import json
from pathlib import Path

import torch

from harness.config import FrozenModel, parse_config
from harness.data import Split, load_splits, normalize
from harness.errors import BadInputError
from harness.records import CONFIG_ARTIFACT, STATE_ARTIFACT
from harness.state import RunState
from harness.tracking import read_artifact
from harness.training import build_model


class Prediction(FrozenModel):
    """What the model says of one image. `probabilities` are by class, 0 to 9; `pixels` is 28 rows of 28 (0-255)."""

    prediction: int
    ground_truth: int | None
    probabilities: tuple[float, ...]
    pixels: tuple[tuple[int, ...], ...]


def predict_test_image(run_id: str, index: int, data_dir: Path | None = None) -> Prediction:
    """The model of a tracked run on the test image of that index.

    Raises:
        BadInputError: no such run, no state in it, or the index is outside the test set.
    """
    config = parse_config(json.loads(read_artifact(run_id, CONFIG_ARTIFACT)))
    state = RunState.from_bytes(read_artifact(run_id, STATE_ARTIFACT))
    test: Split = load_splits(config.dataset, "cpu", data_dir).test
    if not 0 <= index < len(test):
        raise BadInputError(f"--index {index}: 0 to {len(test) - 1} is allowed, the test set; choose another")
    with torch.no_grad():
        probabilities = build_model(config, state)(normalize(test.images[index : index + 1])).exp()[0]
    return Prediction(
        prediction=int(probabilities.argmax()),
        ground_truth=int(test.labels[index]),
        probabilities=tuple(probabilities.tolist()),
        pixels=tuple(tuple(row) for row in test.images[index].tolist()),
    )
