"""Evaluate the model within an epoch, on a fixed part of the validation set, without any effect on training."""

import contextlib
import math
import time
from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F  # noqa: N812

from harness.config import OwnConfig, RunConfig, images_at
from harness.records import TrajectoryPoint
from harness.training.buffers import kept_buffers, restore_buffers
from harness.training.epoch import Epoch
from harness.training.evaluation import evaluate, has_modes, to_evaluate, to_train
from harness.training.generators import generator_states, restore_generators
from harness.training.images import Split, stratified_order

POINT_BATCH = 100  # images; so many fit into a processor's cache, a third faster than 500 on two cores


def validation_part(data: Split, config: RunConfig) -> Tensor:
    """Return the sorted indices (n,) of the validation images that are evaluated within an epoch, on their device."""
    size = min(config.trajectory.images, len(data))
    labels = tuple(data.labels.tolist())
    return _part(labels, config.dataset.split_seed, size).to(data.labels.device)


@lru_cache(maxsize=4)
def _part(labels: tuple[int, ...], seed: int, size: int) -> Tensor:
    return stratified_order(torch.tensor(labels), seed)[:size].sort().values


def loss_and_accuracy(outputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the mean loss (nats) and the accuracy (a fraction) of log-probabilities (n, classes)."""
    loss = F.nll_loss(outputs, labels, reduction="sum")
    return float(loss) / len(labels), int((outputs.argmax(dim=1) == labels).sum()) / len(labels)


@contextlib.contextmanager
def _undisturbed(model: nn.Module, optimizer: optim.Optimizer, config: RunConfig) -> Iterator[None]:
    """Restore the generators, and weights that may change, after an evaluation in the block.

    The user's own code may change weights. A schedule-free optimizer swaps its averaged weights in and out again,
    which would change the last bits.
    """
    generators = generator_states(config.device, config.seed)
    own = isinstance(config.model, OwnConfig) or isinstance(config.optimizer, OwnConfig)
    may_change = own or has_modes(optimizer)
    weights = list(model.parameters()) if may_change else []
    kept = [weight.detach().clone() for weight in weights]
    buffers = kept_buffers(model) if may_change else []
    yield
    with torch.no_grad():
        for weight, value in zip(weights, kept, strict=True):
            weight.copy_(value)
    restore_buffers(buffers)
    restore_generators(generators, config.device, config.seed)


def measure_point(
    model: nn.Module, optimizer: optim.Optimizer, epoch: Epoch, data: Split, config: RunConfig, number: int
) -> TrajectoryPoint:
    """Evaluate the model within an epoch on a part of the validation set; `number` is the epoch's, from 1."""
    started = time.perf_counter()
    part = validation_part(data, config)
    loss, accuracy = measure_undisturbed(model, optimizer, data.part(part), config)
    epoch.evaluate_seconds += time.perf_counter() - started
    return _point(epoch, config, number, loss, accuracy)


def measure_undisturbed(
    model: nn.Module, optimizer: optim.Optimizer, data: Split, config: RunConfig
) -> tuple[float, float]:
    """Return the loss (nats) and accuracy (fraction) of a model in training, and leave its training as it was."""
    with _undisturbed(model, optimizer, config):
        to_evaluate(model, optimizer)
        size = min(config.evaluation_batch_size, POINT_BATCH)
        loss, accuracy, _ = evaluate(model, data, config.model_copy(update={"evaluation_batch_size": size}))
        to_train(model, optimizer)
    return loss, accuracy


def point_at_the_end(outputs: Tensor, epoch: Epoch, data: Split, config: RunConfig, number: int) -> TrajectoryPoint:
    """Return the point at an epoch's end, on the same images as the points within the epoch.

    `outputs` are the log-probabilities (n, classes) of all validation images.
    """
    part = validation_part(data, config)
    return _point(epoch, config, number, *loss_and_accuracy(outputs[part], data.labels[part]))


def _point(epoch: Epoch, config: RunConfig, number: int, loss: float, accuracy: float) -> TrajectoryPoint:
    step = (number - 1) * len(epoch.batches) + epoch.step
    return TrajectoryPoint(
        step=step,
        images=images_at(config, step),
        validation_loss=loss if math.isfinite(loss) else None,
        validation_accuracy=accuracy,
    )
