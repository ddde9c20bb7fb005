"""How long an image of a config takes here, to train on and to evaluate, from a few real steps."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from harness.config import OwnDatasetConfig, RunConfig
from harness.training.data import load_splits
from harness.training.determinism import isolated
from harness.training.evaluation import evaluate
from harness.training.images import Split
from harness.training.inputs import Inputs, found_inputs, inputs_of, with_inputs
from harness.training.loop import build, train_epoch

LEAST = 0.05  # seconds; fewer say more of the clock than of the steps


@dataclass(frozen=True)
class ImageSeconds:
    """Seconds of an image."""

    train: float
    evaluate: float


def measure_seconds(config: RunConfig) -> ImageSeconds:
    """Steps on noise: what an image shows changes no step's time, and so no dataset is read or downloaded.

    A user's own images may have any shape, and so it is they that are taken, over and over.

    Raises:
        BadInputError: a user's own dataset is none, or none for the config's network.
    """
    own = None
    if isinstance(config.dataset, OwnDatasetConfig):
        splits = load_splits(config.dataset, "cpu")
        config, own = with_inputs(config, found_inputs(splits)), splits.train
    with isolated(config):
        model, optimizer, _ = build(config)
        return ImageSeconds(
            train=_seconds(lambda data: train_epoch(model, optimizer, data, config), config.batch_size, config, own),
            evaluate=_seconds(lambda data: evaluate(model, data, config), config.evaluation_batch_size, config, own),
        )


def _seconds(work: Callable[[Split], object], batch: int, config: RunConfig, own: Split | None) -> float:
    """Return the seconds of an image, of twice as many batches each time until they take long; the first warms up."""
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
