"""Draw the order in which PyTorch's DataLoader would visit the data, by the same draws from the global generator."""

import torch
from torch import Tensor


def draw_order_seed() -> int:
    """Draw the seed of an epoch's order from the global generator, as `DataLoader(shuffle=True)` does.

    A pass of the DataLoader draws two int64: the base seed of its workers, then the seed of its sampler
    (torch/utils/data: `_BaseDataLoaderIter`, `RandomSampler`).
    """
    _draw_seed()
    return _draw_seed()


def epoch_order(size: int, seed: int) -> Tensor:
    """Return the order (size,) in which the DataLoader's sampler with this seed would visit the data."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def skip_evaluation_pass() -> None:
    """Advance the global generator as the chapter's test DataLoader does once per epoch.

    A run does this whether or not it evaluates anything, so that training never depends on evaluation.
    """
    _draw_seed()


def _draw_seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_().item())
