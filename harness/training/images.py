"""Images and their labels: what a split holds, how pixels are normalised and shown, and a stratified order."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from harness.config.datasets import MEAN, STANDARD_DEVIATION
from harness.training.rows import Rows, rows_of


@dataclass(frozen=True)
class Split:
    """Images uint8 (n, 28, 28) and labels int64 (n,), on one device. Own images as `OwnDatasetConfig` has them.

    Features (n, features) of a table are images here, of one dimension. `Rows` are images that are not copied from
    the whole dataset: a batch is gathered when it is asked for.
    """

    images: Tensor | Rows
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels in order, `size` at a time; the last may be fewer."""
        for start in range(0, len(self), size):
            yield self.images[start : start + size], self.labels[start : start + size]

    def part(self, index: Tensor) -> "Split":
        """Return those at `index` (n,), without a copy of their images."""
        return Split(rows_of(self.images, index), self.labels[index])

    def to(self, device: str) -> "Split":
        """Return the same on `device`; images that are there already are not copied."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Splits:
    """What a run may see. `digest` is the SHA-256 of all images and labels of the dataset.

    `source` is the folder that they were read from, or a user's own function.
    """

    train: Split
    validation: Split
    test: Split
    digest: str
    source: Path | str


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """An order of the images (n,) in which every prefix has the classes in proportion, within one image each.

    Each class is shuffled, its images are spread evenly over [0, 1), and all are merged by that position.
    """
    generator = torch.Generator().manual_seed(seed)
    position = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = (labels == label).nonzero().squeeze(1)
        shuffled = members[torch.randperm(len(members), generator=generator)]
        position[shuffled] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return position.argsort(stable=True)


def normalize(images: Tensor) -> Tensor:
    """Pixels uint8 (n, 28, 28) as float32 (n, 1, 28, 28), exactly as ToTensor and Normalize do it.

    Own images may have channels, (n, channels, height, width); features (n, features) keep their shape.
    Floating-point ones are taken as they are.
    """
    with_channels = images.unsqueeze(1) if images.dim() == 3 else images
    if images.dtype != torch.uint8:
        return with_channels.to(torch.float32, copy=True)  # a model may change its input in place
    return with_channels.to(torch.float32).div_(255).sub_(MEAN).div_(STANDARD_DEVIATION)


def picture(image: Tensor) -> Tensor | None:
    """An image as uint8 (28, 28), for a person to look at: grey, from its darkest to its lightest, scaled to size.

    None for a row of features, which has no picture.
    """
    if image.dim() == 1:
        return None
    if image.dtype == torch.uint8 and image.shape == (28, 28):
        return image.cpu()
    grey = image.cpu().to(torch.float32).reshape(-1, *image.shape[-2:]).mean(dim=0)
    stretched = (grey - grey.min()) / (grey.max() - grey.min()).clamp(min=1e-12) * 255
    return F.interpolate(stretched[None, None], size=(28, 28), mode="area")[0, 0].to(torch.uint8)
