"""A run's model as its users have it: one module from the dataset's images to probabilities."""

from torch import Tensor, nn

from harness.config import AnyModelConfig
from harness.training.images import normalize
from harness.training.networks import log_probabilities


class Classifier(nn.Module):
    """Images as the dataset has them, MNIST's pixels uint8 (n, 28, 28) for example, to probabilities (n, classes).

    `network` is a model of `config`.
    """

    def __init__(self, network: nn.Module, config: AnyModelConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    def forward(self, images: Tensor) -> Tensor:
        """The probabilities, float32; those of `harness predict`."""
        return log_probabilities(self.network(normalize(images)), self.config).exp()
