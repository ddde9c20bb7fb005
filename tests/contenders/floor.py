"""The floor: each layer's arithmetic alone, at the best speed that this machine's own kernels reach.

Every convolution and matrix product of the chapter's network, forward and backward, at a batch that suits them, in
the faster of the two memory formats; times the images of an epoch and its evaluation. Everything else a network does
is for nothing: activations, pooling, dropout, the loss, the optimizer, loading. Variant: the precision.
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from tests.contenders import THREADS, Timed

BATCH = 256
REPETITIONS = 15
TRAIN, TEST = 60_000, 10_000
LAYERS = (
    (nn.Conv2d(1, 16, 3), (1, 28, 28)),
    (nn.Conv2d(16, 32, 3), (16, 26, 26)),
    (nn.Linear(4608, 64), (4608,)),
    (nn.Linear(64, 10), (64,)),
)


def run(folder: Path, epochs: int, variant: str) -> list[Timed]:
    torch.set_num_threads(THREADS)
    dtype = getattr(torch, variant)
    return [Timed(sum(_layer_seconds(index, dtype) for index in range(len(LAYERS))), None) for _ in range(epochs)]


def _layer_seconds(index: int, dtype: torch.dtype) -> float:
    """Return the seconds of one layer in an epoch and its evaluation. The images themselves need no gradient."""
    layer, shape = LAYERS[index]
    formats = (torch.contiguous_format, torch.channels_last) if len(shape) == 3 else (torch.contiguous_format,)
    return min(_seconds(layer, shape, dtype, memory_format, index > 0) for memory_format in formats)


def _seconds(
    layer: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, memory_format: torch.memory_format, gradient: bool
) -> float:
    layer = layer.to(dtype=dtype, memory_format=memory_format)
    images = torch.randn(BATCH, *shape).to(dtype=dtype, memory_format=memory_format)
    outputs = layer(images)
    upstream = torch.randn_like(outputs)
    needed = [*layer.parameters(), *([images.requires_grad_()] if gradient else [])]

    def forward() -> None:
        with torch.no_grad():
            layer(images)

    def both() -> None:
        torch.autograd.grad(layer(images), needed, upstream)

    return (_best(both) * TRAIN + _best(forward) * TEST) / BATCH


def _best(call: Callable[[], None]) -> float:
    call()
    times = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)
