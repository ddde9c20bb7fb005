"""The network keeps the memory format that it is given, forward and backward."""

import pytest
import torch

from harness.config import RunConfig
from harness.training.networks import new_model


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_have_the_memory_format_of_what_they_are_of(config: RunConfig, memory_format):
    model = new_model(config.model).to(memory_format=memory_format)
    formats = []
    model.dropout1.register_full_backward_hook(lambda *hooked: formats.append(hooked[2][0]))
    images = torch.rand(4, 1, 28, 28).to(memory_format=memory_format)
    model(images).sum().backward()
    (gradient,) = formats
    assert gradient.is_contiguous(memory_format=memory_format)
