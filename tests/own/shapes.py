"""A user's own optimizer, model and dataset, outside the packages: sign descent, a small network, drawn bars.

Two of each do what a run can't go on with, or can't store.
"""

import random
import sys

import numpy as np
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


class Linear(nn.Sequential):
    """Of rows of features."""

    def __init__(self, classes: int = 3):
        super().__init__(nn.Linear(8, classes), nn.LogSoftmax(1))


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


def table(count: int = 400, lookalike: str = ""):
    """Rows of eight features, of which the first two decide between three classes; as another kind of array."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(count, 8, generator=generator)
    labels = (rows[:, 0] > 0).long() + (rows[:, 1] > 0).long()
    return {
        "": lambda: (rows, labels),
        "arrays": lambda: (rows.double().numpy(), labels.int().numpy()),
        "big-endian": lambda: (rows.numpy().astype(">f4"), labels.numpy().astype(">i2")),
        "reversed": lambda: (rows.flip(0).numpy()[::-1], labels.flip(0).numpy()[::-1]),
        "read-only": lambda: (np.frombuffer(rows.numpy().tobytes(), np.float32).reshape(-1, 8), labels.tolist()),
        "memory-mapped": lambda: (np.memmap("rows", np.float32, "r", shape=(count, 8)), labels),
        "file of tensors": lambda: (torch.from_file("rows", size=count * 8).view(-1, 8), labels.to(torch.uint8)),
        "lists": lambda: ([*rows], [*labels]),
    }[lookalike]()


def failing(how: str = "key"):
    """Raises, or returns what no run can train on."""
    rows, labels = table()
    return {
        "key": lambda: {}["labels"],
        "file": lambda: np.load("/no/such/folder/rows.npz"),
        "exit": lambda: sys.exit(3),
        "four": lambda: (rows, labels, rows, labels),
        "words": lambda: (rows, ["cat"] * len(rows)),
        "ragged": lambda: ([[1.0], [1.0, 2.0]], labels),
        "whole features": lambda: (rows.int(), labels),
        "no features": lambda: (rows[:, :0], labels),
        "infinite": lambda: (rows.double() * 1e300, labels),
        "sparse": lambda: (rows.to_sparse(), labels),
        "column": lambda: (rows, labels[:, None]),
        "empty": lambda: (rows[:0], labels[:0]),
        "two": lambda: (rows[:2], labels[:2]),
    }[how]()


NOTHING = 3
