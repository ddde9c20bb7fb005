"""Select rows of a tensor without copying the whole tensor, which may be a mapped file that is larger than memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 2**24  # bytes; a copy of this size does not matter


@dataclass(frozen=True)
class Rows:
    """Hold the rows `index` (n,) of `stored`, both on one device. Indexing, as of a tensor, copies only these rows.

    Floating-point rows are copied as float32.
    """

    stored: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, which: int | slice | list[int] | Tensor) -> Tensor:
        if isinstance(which, int):
            return self[[which]][0]  # from a copy: indexing one row would give a view with the strides of `stored`
        gathered = self.stored[self.index[which]]
        return gathered.float() if gathered.is_floating_point() else gathered

    @property
    def device(self) -> torch.device:
        """Return the device of the rows."""
        return self.stored.device

    def to(self, device: str) -> "Tensor | Rows":
        """Return the rows themselves if they are on `device` already, else a copy of all rows."""
        return self if self.device == torch.device(device) else self[:].to(device)


def rows_of(images: Tensor | Rows, index: Tensor) -> Rows:
    """Return the rows `index` (n,) of images, which share the images' memory."""
    return Rows(images.stored, images.index[index]) if isinstance(images, Rows) else Rows(images, index)


def chunks(images: Tensor | Rows) -> Iterator[Tensor]:
    """Yield all images in order, in chunks of at most `CHUNK` bytes, but of one image at least."""
    size = max(1, CHUNK // max(1, images[:1].nbytes))
    for start in range(0, len(images), size):
        yield images[start : start + size]
