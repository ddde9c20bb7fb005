"""Define the built-in networks, the chapter's ConvNet and a multilayer perceptron, and build a config's model."""

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
    """Map images (n, channels, height, width) to log-probabilities (n, classes); on MNIST, the chapter's network."""

    def __init__(self, config: ModelConfig, inputs: Inputs) -> None:
        super().__init__()
        channels, height, width = inputs.shape
        # each convolution removes one pixel at every edge, and pooling keeps a quarter of the pixels
        pooled = 32 * ((height - 4) // 2) * ((width - 4) // 2)
        self.activation = _activation(config.activation, config.leaky_relu_slope)
        # max-pooling commutes exactly with ReLU, including gradients, and pooling first saves three quarters of its
        # work; a saturating activation makes ties, which pooling would then resolve differently
        self.pool_first = config.activation == "relu"
        self.conv1 = nn.Conv2d(channels, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.dropout1 = nn.Dropout2d(config.dropout[0])
        self.dropout2 = nn.Dropout(config.dropout[1])
        self.linear1 = nn.Linear(pooled, 64)
        self.linear2 = nn.Linear(64, inputs.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the log-probabilities (n, classes) of the classes."""
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
    """Map images (n, channels, height, width) or rows (n, features) to log-probabilities (n, classes)."""

    def __init__(self, config: MLPConfig, inputs: Inputs) -> None:
        super().__init__()
        sizes = (math.prod(inputs.shape), *config.hidden, inputs.classes)
        self.activation = _activation(config.activation)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(nn.Linear(*each) for each in itertools.pairwise(sizes))

    def forward(self, images: Tensor) -> Tensor:
        """Return the log-probabilities (n, classes) of the classes."""
        x = torch.flatten(images, 1)
        *hidden, last = self.layers
        for layer in hidden:
            x = self.dropout(self.activation(layer(x)))
        return F.log_softmax(last(x), dim=1)


def new_model(config: RunConfig) -> nn.Module:
    """Return the config's built-in network or the user's own model, initialised from the global generators."""
    if isinstance(config.model, OwnModelConfig):
        return find(config.model.name)(**config.model.arguments)  # type: ignore[no-any-return]
    if isinstance(config.model, MLPConfig):
        return MLP(config.model, inputs_of(config))
    return ConvNet(config.model, inputs_of(config))


def log_probabilities(outputs: Tensor, config: AnyModelConfig) -> Tensor:
    """Return the log-probabilities (n, classes) of the outputs (n, classes) of a config's model."""
    return F.log_softmax(outputs, dim=1) if gives_logits(config) else outputs


def gives_logits(config: AnyModelConfig) -> bool:
    """Return whether a config's model returns logits instead of log-probabilities."""
    return isinstance(config, OwnModelConfig) and config.outputs == "logits"


def _to_channels_last(gradient: Tensor) -> Tensor:
    """Return the gradient in channels-last format, which flattening removed: mixed formats make the backward slow."""
    return gradient.contiguous(memory_format=torch.channels_last)


def _activation(name: str, slope: float = 0.01) -> Callable[[Tensor], Tensor]:
    activations: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": torch.relu,
        "leaky_relu": functools.partial(F.leaky_relu, negative_slope=slope),
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }
    return activations[name]
