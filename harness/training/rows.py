"""Rows of a tensor that is never copied whole: it may be a mapped file, for which memory has no second room."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 2**24  # bytes, of which a second copy is no burden


@dataclass(frozen=True)
class Rows:
    """The rows `index` (n,) of `stored`, both on one device; indexed as a tensor is, which gathers these rows alone.

    Floating-point ones are gathered as float32.
    """

    stored: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, which: int | slice | list[int] | Tensor) -> Tensor:
        if isinstance(which, int):
            return self[[which]][0]  # of a copy: one row alone would be a view, with the strides of what is stored
        gathered = self.stored[self.index[which]]
        return gathered.float() if gathered.is_floating_point() else gathered

    @property
    def device(self) -> torch.device:
        """Return where they are gathered."""
        return self.stored.device

    def to(self, device: str) -> "Tensor | Rows":
        """Return these very rows where they are there already, else a copy of all of them."""
        return self if self.device == torch.device(device) else self[:].to(device)


def rows_of(images: Tensor | Rows, index: Tensor) -> Rows:
    """Return the rows `index` (n,) of images, which share their memory."""
    return Rows(images.stored, images.index[index]) if isinstance(images, Rows) else Rows(images, index)


def chunks(images: Tensor | Rows) -> Iterator[Tensor]:
    """Yield all images in order, as many at a time as `CHUNK` holds, or one that is larger."""
    size = max(1, CHUNK // max(1, images[:1].nbytes))
    for start in range(0, len(images), size):
        yield images[start : start + size]
