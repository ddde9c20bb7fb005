"""The order in which PyTorch's DataLoader would visit the data, drawn from the global generator as it draws."""

import torch
from torch import Tensor


def epoch_order(size: int) -> Tensor:
    """The order (size,) in which `DataLoader(shuffle=True)` would visit the data, from the global generator.

    A pass draws one int64 as the workers' base seed and a second that seeds the sampler
    (torch/utils/data: `_BaseDataLoaderIter`, `RandomSampler`).
    """
    _draw_seed()
    generator = torch.Generator().manual_seed(_draw_seed())
    return torch.randperm(size, generator=generator)


def skip_evaluation_pass() -> None:
    """Advance the global generator as the chapter's test DataLoader does once an epoch.

    Drawn whether or not anything is evaluated, so that training never depends on evaluation.
    """
    _draw_seed()


def _draw_seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_().item())
