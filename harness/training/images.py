"""Hold images and their labels, put them into a stratified order, normalise pixels, and make them visible."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from harness.config import AnyDatasetConfig, statistics
from harness.training.rows import Rows, rows_of

MOST_SIDE = 32  # the largest side of a picture, in pixels


@dataclass(frozen=True)
class Split:
    """Hold images, uint8 (n, height, width) or (n, channels, height, width), and labels, int64 (n,), on one device.

    A user's own images may also be floating point (see `OwnDatasetConfig`). The rows of a table (n, features) count
    as images here. `Rows` are images that are not copied from the whole dataset: each batch is copied when it is
    needed.
    """

    images: Tensor | Rows
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of images and labels in order, with `size` images each; the last batch may be smaller."""
        for start in range(0, len(self), size):
            yield self.images[start : start + size], self.labels[start : start + size]

    def part(self, index: Tensor) -> "Split":
        """Return the images and labels at `index` (n,), without a copy of the images."""
        return Split(rows_of(self.images, index), self.labels[index])

    def to(self, device: str) -> "Split":
        """Return the split on `device`; images that are on the device already are not copied."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Splits:
    """Hold the parts of a dataset that a run uses. `digest` is the SHA-256 of all images and labels of the dataset.

    `source` is the folder from which they were read, or the name of a loader or of a user's own function.
    """

    train: Split
    validation: Split
    test: Split
    digest: str
    source: Path | str


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """Return an order (n,) of the images in which every prefix has the classes in proportion, to within one image.

    Each class is shuffled, its images get evenly spaced positions in [0, 1), and all images are sorted by position.
    """
    generator = torch.Generator().manual_seed(seed)
    position = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = (labels == label).nonzero().squeeze(1)
        shuffled = members[torch.randperm(len(members), generator=generator)]
        position[shuffled] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return position.argsort(stable=True)


def divided(whole: Split, size: int, seed: int) -> tuple[Split, Split]:
    """Split off `size` images with the classes in proportion; return the other images, then these, in file order."""
    order = stratified_order(whole.labels, seed)
    part, rest = order[:size].sort().values, order[size:].sort().values
    return whole.part(rest), whole.part(part)


def normalize(images: Tensor, dataset: AnyDatasetConfig) -> Tensor:
    """Return images (n, height, width) as normalised float32 (n, 1, height, width), bit-identical to torchvision.

    torchvision's ToTensor and Normalize would give the same numbers. Images may have channels, (n, channels, height,
    width); features (n, features) keep their shape. The dataset decides the means and standard deviations; a user's
    own floating-point images are not normalised unless its config has them.
    """
    with_channels = images.unsqueeze(1) if images.dim() == 3 else images
    x = with_channels.to(torch.float32, copy=True)  # a model may change its input in place
    are_pixels = images.dtype == torch.uint8
    if are_pixels:
        x.div_(255)
    found = statistics(dataset, are_pixels)
    return x if found is None else x.sub_(_of_each(found[0], x)).div_(_of_each(found[1], x))


def _of_each(values: tuple[float, ...], images: Tensor) -> float | Tensor:
    """Return the single number, or the numbers per channel or feature in a shape that broadcasts with the images."""
    if len(values) == 1:
        return values[0]
    # cached on the device by the first step, because a CUDA graph can't be captured while data are copied to it
    found = torch.tensor(values) if images.device.type == "cpu" else _on_device(values, images.device)
    return found.view(-1, *[1] * (images.dim() - 2))


@functools.cache
def _on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device)


def shape_of(images: Tensor | Rows) -> tuple[int, ...]:
    """Return the shape that a network sees: of an image (channels, height, width), or of a row (features,)."""
    shape = tuple(images[:1].shape[1:])
    return (1, *shape) if len(shape) == 2 else shape


def picture(image: Tensor) -> Tensor | None:
    """Return an image to show to a user: uint8 (height, width) in grey or (height, width, 3) in colour.

    Pixels of grey or colour are not changed, but a large image is made smaller. Any other image becomes grey, from
    its darkest to its lightest value, scaled to (28, 28). Return None for a row of features, which has no picture.
    """
    if image.dim() == 1:
        return None
    channels = image.cpu().reshape(-1, *image.shape[-2:])
    if image.dtype == torch.uint8 and len(channels) in (1, 3):
        shown = _at_most(channels, MOST_SIDE)
        return shown[0] if len(shown) == 1 else shown.permute(1, 2, 0)
    grey = channels.to(torch.float32).mean(dim=0)
    stretched = (grey - grey.min()) / (grey.max() - grey.min()).clamp(min=1e-12) * 255
    return F.interpolate(stretched[None, None], size=(28, 28), mode="area")[0, 0].to(torch.uint8)


def _at_most(channels: Tensor, side: int) -> Tensor:
    """Return an image uint8 (channels, height, width) with no side longer than `side`, scaled in proportion."""
    height, width = channels.shape[1:]
    if max(height, width) <= side:
        return channels
    size = [max(1, round(each * side / max(height, width))) for each in (height, width)]
    return F.interpolate(channels[None].to(torch.float32), size=size, mode="area")[0].round().to(torch.uint8)
