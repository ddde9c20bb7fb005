"""A run's model as its users have it: one module from the dataset's images to probabilities."""

from torch import Tensor, nn

from harness.data import normalize


class Classifier(nn.Module):
    """Images as the dataset has them, MNIST's pixels uint8 (n, 28, 28) for example, to probabilities (n, classes).

    `network` gives log-probabilities, as every model of a run does.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The probabilities, float32; those of `harness predict`."""
        return self.network(normalize(images)).exp()  # type: ignore[no-any-return]
