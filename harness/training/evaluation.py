"""Evaluate a model: compute its outputs, and its loss and accuracy over a whole split."""

import math

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F  # noqa: N812

from harness.config import RunConfig
from harness.training.images import Split, normalize
from harness.training.networks import log_probabilities


@torch.no_grad()
def evaluate(model: nn.Module, data: Split, config: RunConfig) -> tuple[float, float, Tensor]:
    """Return the mean loss (nats), the accuracy (fraction) and the log-probabilities (n, classes) for all images."""
    model.eval()
    losses = torch.empty(math.ceil(len(data) / config.evaluation_batch_size), device=data.images.device)
    correct = torch.zeros((), dtype=torch.int64, device=data.images.device)
    outputs = []
    for batch, (images, labels) in enumerate(data.batches(config.evaluation_batch_size)):
        outputs_of_batch = forward(model, images, config)
        if outputs_of_batch.dtype in (torch.bfloat16, torch.float16):  # a sum of losses would have two digits
            outputs_of_batch = outputs_of_batch.float()
        of_batch = log_probabilities(outputs_of_batch, config.model)
        losses[batch] = F.nll_loss(of_batch, labels, reduction="sum")
        correct += (of_batch.argmax(dim=1) == labels).sum()
        outputs.append(of_batch)
    return sum(losses.tolist()) / len(data), int(correct) / len(data), torch.cat(outputs)


def forward(model: nn.Module, images: Tensor, config: RunConfig) -> Tensor:
    """Return the model's outputs, float32 (n, classes), for images of a split, which are not normalised yet."""
    x = normalize(images, config.dataset)
    if config.memory_format == "channels_last" and x.dim() == 4:  # rows of features have no channels
        x = x.contiguous(memory_format=torch.channels_last)
    if config.precision == "float32":
        return model(x)  # type: ignore[no-any-return]
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        return model(x).float()  # type: ignore[no-any-return]


def to_evaluate(model: nn.Module, optimizer: optim.Optimizer) -> None:
    """Put model and optimizer into evaluation mode.

    A schedule-free optimizer then puts its averaged weights into the model. Between epochs a run is in this mode, so
    that a saved state has these weights.
    """
    model.eval()
    _call_if_there(optimizer, "eval")


def to_train(model: nn.Module, optimizer: optim.Optimizer) -> None:
    """Put model and optimizer into training mode."""
    model.train()
    _call_if_there(optimizer, "train")


def has_modes(optimizer: optim.Optimizer) -> bool:
    """Return whether an optimizer evaluates other weights than it trains, as schedule-free optimizers do."""
    return callable(getattr(optimizer, "eval", None))


def _call_if_there(optimizer: optim.Optimizer, method: str) -> None:
    """Call a method that only schedule-free optimizers have (Defazio et al. 2024)."""
    if callable(found := getattr(optimizer, method, None)):
        found()
