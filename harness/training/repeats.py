"""Count the test images that are among the training images too."""

from collections.abc import Iterator

from torch import Tensor

from harness.training.images import Splits
from harness.training.rows import Rows, chunks


def repeats(data: Splits) -> int:
    """Count the test images that are bit for bit among the training images too, whatever their labels are."""
    trained = set(_hashes(data.train.images))
    return sum(each in trained for each in _hashes(data.test.images))


def _hashes(images: Tensor | Rows) -> Iterator[int]:
    """Yield a 64-bit hash of each image, so that a large dataset needs no copy."""
    for chunk in chunks(images):
        yield from (hash(each.tobytes()) for each in chunk.cpu().numpy())
