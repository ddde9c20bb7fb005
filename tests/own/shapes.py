"""A user's own optimizer, model and dataset, outside the packages: sign descent, a small network, drawn bars.

Two of each do what a run can't go on with, or can't store.
"""

import random

import torch
from torch import nn
from torch.nn import functional as F


class SignDescent(torch.optim.Optimizer):
    """w - lr sign(g), as Lion without its momentum."""

    def __init__(self, params, lr=1e-3, decay: float = 0.0, *, betas=(0.9, 0.99), growth=float("inf")):
        if not 0 <= decay < 1:
            raise ValueError(f"decay {decay} is outside [0, 1)")
        super().__init__(params, {"lr": lr, "decay": decay, "betas": betas})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(1 - group["decay"]).sub_(parameter.grad.sign(), alpha=group["lr"])


class Forgetful(SignDescent):
    """Its rate falls with every step, which is in no state dict."""

    steps = 0

    def step(self):
        self.steps += 1
        for group in self.param_groups:
            group["decay"] = 0.1 / self.steps
        super().step()


class Unstorable(SignDescent):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, lr)
        self.defaults["lr"] = lr
        self.param_groups[0]["rule"] = torch.sign


class WithClosure(SignDescent):
    def step(self, closure):
        closure()


class Small(nn.Module):
    """Images of any size and any number of channels."""

    def __init__(self, width: int = 8, classes: int = 3):
        super().__init__()
        self.convolution = nn.LazyConv2d(width, 3)
        self.linear = nn.Linear(width, classes)
        self.convolution(torch.zeros(1, 2, 12, 12))

    def forward(self, images):
        return F.log_softmax(self.linear(F.relu_(self.convolution(images)).amax(dim=(2, 3))), dim=1)


class Undecided(Small):
    """Looks at the values of its images to decide what it does, which no exported program can."""

    def forward(self, images):
        return super().forward(images if images.sum() > 0 else -images)


class Counting(Small):
    """Takes the number of its images for a constant."""

    def forward(self, images):
        return super().forward(images) + torch.zeros(int(images.shape[0]), 1)


class Scores(Small):
    """No log-probabilities."""

    def forward(self, images):
        return super().forward(images) * 2


class Noisy(Small):
    """Draws from a generator that is not torch's."""

    def forward(self, images):
        return super().forward(images + random.random())


def bars(count: int = 400, seed: int = 0):
    """Horizontal bars, vertical ones and none, of two channels and 12 × 12 pixels, from 0 to 1."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 2, 12, 12, generator=generator) / 4
    labels = torch.randint(0, 3, (count,), generator=generator)
    rows = torch.randint(0, 12, (count,), generator=generator)
    for image, label, row in zip(images, labels.tolist(), rows.tolist(), strict=True):
        if label:
            (image if label == 1 else image.transpose(1, 2))[:, row] += 1
    return images, labels


def images_alone():
    return bars()[0]


def labels_of_floats():
    images, labels = bars()
    return images, labels.float()


NOTHING = 3
