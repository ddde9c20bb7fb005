"""The chapter's ConvNet, with its dropout rates and its activation as config, or a user's own model."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from harness.config import AnyModelConfig, ModelConfig, OwnModelConfig
from harness.config.imports import find
from harness.training.pooling import max_pool

CLASSES = 10


class ConvNet(nn.Module):
    """Images (n, 1, 28, 28) to log-probabilities (n, 10)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = _activation(config)
        # max-pooling commutes with ReLU exactly, gradients included, and leaves it a quarter of the work;
        # a saturating activation makes ties that pooling would resolve differently
        self.pool_first = config.activation == "relu"
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.dropout1 = nn.Dropout2d(config.dropout[0])
        self.dropout2 = nn.Dropout(config.dropout[1])
        self.linear1 = nn.Linear(4608, 64)
        self.linear2 = nn.Linear(64, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Log-probabilities (n, 10) of the classes."""
        x = self.activation(self.conv1(images))
        x = self.conv2(x)
        x = self.activation(max_pool(x)) if self.pool_first else max_pool(self.activation(x))
        x = self.dropout1(x)
        if x.requires_grad and x.is_contiguous(memory_format=torch.channels_last):
            x.register_hook(_to_channels_last)
        x = torch.flatten(x, 1)
        x = self.dropout2(self.activation(self.linear1(x)))
        return F.log_softmax(self.linear2(x), dim=1)


def new_model(config: AnyModelConfig) -> nn.Module:
    """The chapter's, or a user's own, initialised from the global generators."""
    if isinstance(config, OwnModelConfig):
        return find(config.name)(**config.arguments)  # type: ignore[no-any-return]
    return ConvNet(config)


def log_probabilities(outputs: Tensor, config: AnyModelConfig) -> Tensor:
    """Return the log-probabilities (n, classes) that the outputs (n, classes) of a config's model stand for."""
    return F.log_softmax(outputs, dim=1) if gives_logits(config) else outputs


def gives_logits(config: AnyModelConfig) -> bool:
    """Judge whether a config's model gives logits, not log-probabilities."""
    return isinstance(config, OwnModelConfig) and config.outputs == "logits"


def _to_channels_last(gradient: Tensor) -> Tensor:
    """Return the gradient in the values' format, which flattening undid: two formats at once make it slow."""
    return gradient.contiguous(memory_format=torch.channels_last)


def _activation(config: ModelConfig) -> Callable[[Tensor], Tensor]:
    activations: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": torch.relu,
        "leaky_relu": functools.partial(F.leaky_relu, negative_slope=config.leaky_relu_slope),
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }
    return activations[config.activation]
