"""Measure on this machine how long a config needs per image, to train and to evaluate, with a few real steps."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from harness.config import OwnConfig, OwnDatasetConfig, RunConfig
from harness.training.data import load_splits
from harness.training.determinism import isolated
from harness.training.evaluation import evaluate
from harness.training.guard import guarded, own_parts_of
from harness.training.images import Split
from harness.training.inputs import Inputs, found_inputs, inputs_of, with_inputs
from harness.training.loop import build, train_epoch

LEAST = 0.05  # seconds; a shorter measurement would depend too much on the clock


@dataclass(frozen=True)
class ImageSeconds:
    """Hold the seconds per image of training and of evaluation."""

    train: float
    evaluate: float


def measure_seconds(config: RunConfig) -> ImageSeconds:
    """Return the seconds per image, measured on random images, so that no dataset must be read or downloaded.

    The content of an image does not change the time of a step. A user's own dataset may have images of any shape, so
    its images are read and repeated.

    Raises:
        BadInputError: a user's own dataset can't be used, or does not fit the config's network; or a user's own model
            or optimizer fails.
    """
    own = None
    if isinstance(config.dataset, OwnDatasetConfig):
        splits = load_splits(config.dataset, "cpu")
        config, own = with_inputs(config, found_inputs(splits)), splits.train
    is_own = isinstance(config.model, OwnConfig) or isinstance(config.optimizer, OwnConfig)
    guard = guarded(own_parts_of(config), "fails while its speed is measured") if is_own else nullcontext()
    with isolated(config), guard:
        model, optimizer, _ = build(config)
        return ImageSeconds(
            train=_seconds(lambda data: train_epoch(model, optimizer, data, config), config.batch_size, config, own),
            evaluate=_seconds(lambda data: evaluate(model, data, config), config.evaluation_batch_size, config, own),
        )


def _seconds(work: Callable[[Split], object], batch: int, config: RunConfig, own: Split | None) -> float:
    """Return the seconds per image; double the number of batches until they take long enough, after a warm-up."""
    batches, warm = 1, False
    while True:
        size = batches * batch
        data = _noise(inputs_of(config), size) if own is None else _repeated(own, size)
        data = data.to(config.device)
        started = time.perf_counter()
        work(data)
        seconds = time.perf_counter() - started
        if warm and seconds >= LEAST:
            return seconds / size
        batches, warm = batches * (1 + warm), True


def _noise(inputs: Inputs, size: int) -> Split:
    labels = torch.randint(inputs.classes, (size,))
    if len(inputs.shape) == 1:
        return Split(torch.randn(size, *inputs.shape), labels)
    return Split(torch.randint(256, (size, *inputs.shape), dtype=torch.uint8), labels)


def _repeated(data: Split, size: int) -> Split:
    return data.part(torch.arange(size) % len(data))
