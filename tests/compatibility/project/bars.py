"""A user's own dataset, network and optimizer: small, with the state, dropout and failures of larger ones."""

import os
import time

import numpy as np
import torch
from torch import nn

SIDE, CLASSES, IMAGES = 6, 3, 240
PAUSE = float(os.environ.get("BARS_PAUSE", "0"))  # seconds of a forward pass, so that a signal comes in the middle


def bars():
    """A bright band for each class on a dim ground, of whole numbers alone: the same on every machine."""
    image, row, column = np.ogrid[:IMAGES, :SIDE, :SIDE]
    band = 170 + (image * 5 + row + column) % 60
    ground = (image * 7919 + row * 104_729 + column * 1_299_709) % 83
    images = np.where(row // 2 == image % CLASSES, band, ground).astype(np.uint8)
    return torch.from_numpy(images), torch.arange(IMAGES) % CLASSES


class Net(nn.Module):
    def __init__(self, width: int = 6, dropout: float = 0.1):
        super().__init__()
        layers = nn.Linear(SIDE * SIDE, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, CLASSES)
        self.layers = nn.Sequential(nn.Flatten(), *layers, nn.LogSoftmax(dim=1))

    def forward(self, images):
        time.sleep(PAUSE)
        return self.layers(images)


class SignDescent(torch.optim.Optimizer):
    """w - lr sign(m), m a moving mean of the gradient. It takes no rate over 0.1, as it finds at its first step."""

    def __init__(self, params, lr: float = 1e-3, beta: float = 0.9):
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            if group["lr"] > 0.1:
                raise ValueError("a rate of 0.1 or less is expected")
            for parameter in group["params"]:
                mean = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
                mean.lerp_(parameter.grad, 1 - group["beta"])
                parameter.sub_(mean.sign(), alpha=group["lr"])
