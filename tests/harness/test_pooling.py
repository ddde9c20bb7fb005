"""Pooling by pairs is torch's max-pooling bit by bit, gradients at ties included."""

import pytest
import torch
from torch.nn import functional as F

from harness.training.pooling import max_pool


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(8, 12), (5, 7)])
def test_values_and_gradients_equal_torchs_if_many_values_are_equal(dtype, memory_format, size):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(-2, 3, (5, 3, *size), generator=generator).to(dtype)
    images = images.contiguous(memory_format=memory_format)
    images.requires_grad_()
    ours, torchs = max_pool(images), F.max_pool2d(images, 2)
    assert torch.equal(ours, torchs)
    gradient = torch.randn(ours.shape, generator=generator).to(dtype)
    assert torch.equal(
        torch.autograd.grad(ours, images, gradient)[0], torch.autograd.grad(torchs, images, gradient)[0]
    )


def test_a_nan_is_not_lost_in_pooling():
    for corner in range(4):
        images = torch.arange(4.0)
        images[corner] = torch.nan
        assert max_pool(images.view(1, 1, 2, 2)).isnan().all()
