"""The order in which PyTorch's DataLoader would visit the data, drawn from the global generator as it draws."""

import torch
from torch import Tensor


def draw_order_seed() -> int:
    """Draw from the global generator what decides an epoch's order, as `DataLoader(shuffle=True)` does.

    A pass draws one int64 as the workers' base seed and a second that seeds the sampler
    (torch/utils/data: `_BaseDataLoaderIter`, `RandomSampler`).
    """
    _draw_seed()
    return _draw_seed()


def epoch_order(size: int, seed: int) -> Tensor:
    """Return the order (size,) in which the DataLoader's sampler of that seed would visit the data."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def skip_evaluation_pass() -> None:
    """Advance the global generator as the chapter's test DataLoader does once an epoch.

    Drawn whether or not anything is evaluated, so that training never depends on evaluation.
    """
    _draw_seed()


def _draw_seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_().item())
