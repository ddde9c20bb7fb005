"""The networks that ship, the chapter's ConvNet and a multilayer perceptron, or a user's own model."""

import functools
import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from harness.config import AnyModelConfig, MLPConfig, ModelConfig, OwnModelConfig, RunConfig
from harness.config.imports import find
from harness.training.inputs import Inputs, inputs_of
from harness.training.pooling import max_pool


class ConvNet(nn.Module):
    """Images (n, channels, height, width) to log-probabilities (n, classes); the chapter's for MNIST's."""

    def __init__(self, config: ModelConfig, inputs: Inputs) -> None:
        super().__init__()
        channels, height, width = inputs.shape
        # each convolution takes a pixel off every edge, and pooling leaves a quarter
        pooled = 32 * ((height - 4) // 2) * ((width - 4) // 2)
        self.activation = _activation(config.activation, config.leaky_relu_slope)
        # max-pooling commutes with ReLU exactly, gradients included, and leaves it a quarter of the work;
        # a saturating activation makes ties that pooling would resolve differently
        self.pool_first = config.activation == "relu"
        self.conv1 = nn.Conv2d(channels, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.dropout1 = nn.Dropout2d(config.dropout[0])
        self.dropout2 = nn.Dropout(config.dropout[1])
        self.linear1 = nn.Linear(pooled, 64)
        self.linear2 = nn.Linear(64, inputs.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Log-probabilities (n, classes) of the classes."""
        x = self.activation(self.conv1(images))
        x = self.conv2(x)
        x = self.activation(max_pool(x)) if self.pool_first else max_pool(self.activation(x))
        x = self.dropout1(x)
        if x.requires_grad and x.is_contiguous(memory_format=torch.channels_last):
            x.register_hook(_to_channels_last)
        x = torch.flatten(x, 1)
        x = self.dropout2(self.activation(self.linear1(x)))
        return F.log_softmax(self.linear2(x), dim=1)


class MLP(nn.Module):
    """Images (n, channels, height, width) or rows (n, features) to log-probabilities (n, classes)."""

    def __init__(self, config: MLPConfig, inputs: Inputs) -> None:
        super().__init__()
        sizes = (math.prod(inputs.shape), *config.hidden, inputs.classes)
        self.activation = _activation(config.activation)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(nn.Linear(*each) for each in itertools.pairwise(sizes))

    def forward(self, images: Tensor) -> Tensor:
        """Log-probabilities (n, classes) of the classes."""
        x = torch.flatten(images, 1)
        *hidden, last = self.layers
        for layer in hidden:
            x = self.dropout(self.activation(layer(x)))
        return F.log_softmax(last(x), dim=1)


def new_model(config: RunConfig) -> nn.Module:
    """The config's network, or a user's own, initialised from the global generators."""
    if isinstance(config.model, OwnModelConfig):
        return find(config.model.name)(**config.model.arguments)  # type: ignore[no-any-return]
    if isinstance(config.model, MLPConfig):
        return MLP(config.model, inputs_of(config))
    return ConvNet(config.model, inputs_of(config))


def log_probabilities(outputs: Tensor, config: AnyModelConfig) -> Tensor:
    """Return the log-probabilities (n, classes) that the outputs (n, classes) of a config's model stand for."""
    return F.log_softmax(outputs, dim=1) if gives_logits(config) else outputs


def gives_logits(config: AnyModelConfig) -> bool:
    """Judge whether a config's model gives logits, not log-probabilities."""
    return isinstance(config, OwnModelConfig) and config.outputs == "logits"


def _to_channels_last(gradient: Tensor) -> Tensor:
    """Return the gradient in the values' format, which flattening undid: two formats at once make it slow."""
    return gradient.contiguous(memory_format=torch.channels_last)


def _activation(name: str, slope: float = 0.01) -> Callable[[Tensor], Tensor]:
    activations: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": torch.relu,
        "leaky_relu": functools.partial(F.leaky_relu, negative_slope=slope),
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }
    return activations[name]
