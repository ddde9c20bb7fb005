"""Keep the values of a model's buffers, and restore them, whether its code changes or replaces them."""

import torch
from torch import Tensor, nn

Buffers = list[tuple[nn.Module, str, Tensor, Tensor]]  # of each: its module and name, the tensor, and a copy of it


def kept_buffers(model: nn.Module) -> Buffers:
    """Return the model's buffers and a copy of each."""
    return [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]


def restore_buffers(buffers: Buffers) -> None:
    """Restore the values, and the tensors themselves where `self.mean = ...` in a `forward` has replaced them."""
    with torch.no_grad():
        for module, name, buffer, value in buffers:
            buffer.copy_(value)
            if getattr(module, name) is not buffer:
                setattr(module, name, buffer)
