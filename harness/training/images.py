"""Images and their labels: what a split holds, how pixels are normalised and shown, and a stratified order."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from harness.config import AnyDatasetConfig, statistics
from harness.training.rows import Rows, rows_of

MOST_SIDE = 32  # pixels of a picture


@dataclass(frozen=True)
class Split:
    """Images uint8 (n, height, width) or (n, channels, height, width), and labels int64 (n,), on one device.

    Own images are as `OwnDatasetConfig` has them. Features (n, features) of a table are images here, too. `Rows` are
    images that are not copied from the whole dataset: a batch is gathered when it is asked for.
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


def divided(whole: Split, size: int, seed: int) -> tuple[Split, Split]:
    """Return all but `size` images, and these, in which the classes are in proportion; each in their order."""
    order = stratified_order(whole.labels, seed)
    part, rest = order[:size].sort().values, order[size:].sort().values
    return whole.part(rest), whole.part(part)


def normalize(images: Tensor, dataset: AnyDatasetConfig) -> Tensor:
    """Pixels uint8 (n, 28, 28) as float32 (n, 1, 28, 28), exactly as ToTensor and Normalize do it.

    Images may have channels, (n, channels, height, width); features (n, features) keep their shape. What they are
    normalised by is the dataset's; a user's own floating-point ones are taken as they are unless it says so.
    """
    with_channels = images.unsqueeze(1) if images.dim() == 3 else images
    x = with_channels.to(torch.float32, copy=True)  # a model may change its input in place
    are_pixels = images.dtype == torch.uint8
    if are_pixels:
        x.div_(255)
    found = statistics(dataset, are_pixels)
    return x if found is None else x.sub_(_of_each(found[0], x)).div_(_of_each(found[1], x))


def _of_each(values: tuple[float, ...], images: Tensor) -> float | Tensor:
    """Return one number for all, or those of each channel or feature in a shape that goes with the images."""
    if len(values) == 1:
        return values[0]
    # a CUDA graph can't be captured while something is copied to the device: it is there since the first step
    found = torch.tensor(values) if images.device.type == "cpu" else _on_device(values, images.device)
    return found.view(-1, *[1] * (images.dim() - 2))


@functools.cache
def _on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device)


def shape_of(images: Tensor | Rows) -> tuple[int, ...]:
    """Return the shape of an image as a network sees it, (channels, height, width), or of a row (features,)."""
    shape = tuple(images[:1].shape[1:])
    return (1, *shape) if len(shape) == 2 else shape


def picture(image: Tensor) -> Tensor | None:
    """An image as uint8 (height, width) or, in colour, (height, width, 3), for a person to look at.

    Pixels of grey or colour are shown as they are, a large image smaller. Anything else is grey, from its darkest to
    its lightest, scaled to (28, 28). None for a row of features, which has no picture.
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
    """Return an image uint8 (channels, height, width), smaller in proportion where it is larger than that."""
    height, width = channels.shape[1:]
    if max(height, width) <= side:
        return channels
    size = [max(1, round(each * side / max(height, width))) for each in (height, width)]
    return F.interpolate(channels[None].to(torch.float32), size=size, mode="area")[0].round().to(torch.uint8)
