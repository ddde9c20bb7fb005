"""A user's own optimizers, models and datasets, outside the packages: sign descent, small networks, drawn bars.

Some of each do what a run can't go on with, can't store or can't repeat.
"""

import collections
import copy
import random
import sys

import numpy as np
import pytorch_optimizer
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
    """An optimizer whose rate falls with every step; its state dict does not say so."""

    steps = 0

    def step(self):
        self.steps += 1
        for group in self.param_groups:
            group["decay"] = 0.1 / self.steps
        super().step()


class SlowWeights(torch.optim.SGD):
    """Goes halfway back, every 25th step, to weights that it keeps in attributes, as its count of steps."""

    def __init__(self, params, lr=1e-3):
        super().__init__(params, lr)
        self.count = 0
        self.slow = [parameter.detach().clone() for group in self.param_groups for parameter in group["params"]]

    @torch.no_grad()
    def step(self, closure=None):
        super().step(closure)
        self.count += 1
        if self.count % 25 == 0:
            for parameter, slow in zip(self.param_groups[0]["params"], self.slow, strict=True):
                slow.lerp_(parameter, 0.5)
                parameter.copy_(slow)


class Shaken(SignDescent):
    """Moves the weights by noise that numpy draws."""

    @torch.no_grad()
    def step(self):
        super().step()
        for parameter in self.param_groups[0]["params"]:
            parameter.add_(torch.from_numpy(np.random.normal(0, 0.001, parameter.shape)).float())


class Exploding(SignDescent):
    """Loses all weights in its step number `at`, from 1."""

    def __init__(self, params, lr=1e-3, at: int = 1):
        super().__init__(params, lr)
        self.param_groups[0]["left"] = at

    @torch.no_grad()
    def step(self):
        super().step()
        self.param_groups[0]["left"] -= 1
        if self.param_groups[0]["left"] == 0:
            for parameter in self.param_groups[0]["params"]:
                parameter.fill_(float("nan"))


class Adaptive(torch.optim.Optimizer):
    """An optimizer whose learning rate has another name."""

    def __init__(self, params, learning_rate=1e-2):
        super().__init__(params, {"learning_rate": learning_rate})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad, alpha=group["learning_rate"])


class Rateless(SignDescent):
    """Has no learning rate that a config could give."""

    def __init__(self, params, decay: float = 0.0):
        super().__init__(params, decay=decay)


class Unstorable(SignDescent):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, lr)
        self.defaults["lr"] = lr
        self.param_groups[0]["rule"] = torch.sign


class Asking(torch.optim.SGD):
    """Asks for the loss and the gradients so many times, then steps; the loss must be the same each time."""

    def __init__(self, params, lr=1e-3, times: int = 1):
        super().__init__(params, lr)
        self.param_groups[0]["times"] = times

    def step(self, closure):
        losses = {closure().item() for _ in range(self.param_groups[0]["times"])}
        if len(losses) > 1:
            raise ValueError(f"the loss is {losses}")
        super().step()


class AskingAndDrawing(Asking):
    """Draws a number itself after each step, and keeps it."""

    def step(self, closure):
        super().step(closure)
        first = self.param_groups[0]["params"][0]
        self.state[first].setdefault("drawn", []).append(torch.rand(1))


class Sharp(pytorch_optimizer.SAM):
    """Sharpness-aware minimisation around AdamW: two passes for each step."""

    def __init__(self, params, lr: float = 1e-3, rho: float = 0.05):
        super().__init__(params, torch.optim.AdamW, rho=rho, lr=lr)


class OddState(torch.optim.SGD):
    """Fails when its state is read or loaded, gets a second group in a step, or never calls torch's constructor."""

    def __init__(self, params, lr=1e-3, how: str = "reading"):
        self.how = how
        if how != "nothing":
            super().__init__(params, lr)

    def state_dict(self):
        if self.how == "reading":
            raise RuntimeError("no state")
        return super().state_dict()

    def load_state_dict(self, state):
        if self.how == "loading":
            raise RuntimeError("no way back")
        super().load_state_dict(state)

    def step(self, closure=None):
        super().step(closure)
        if self.how == "growing" and len(self.param_groups) == 1:
            self.add_param_group({"params": [torch.zeros(1, requires_grad=True)]})


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
    """A network for rows of features."""

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
    """Logits."""

    def forward(self, images):
        return self.linear(F.relu_(self.convolution(images)).amax(dim=(2, 3)))


class Probabilities(Scores):
    def forward(self, images):
        return super().forward(images).softmax(dim=1)


class OnlyEvaluated(Scores):
    """Log-probabilities in evaluation mode alone."""

    def forward(self, images):
        scores = super().forward(images)
        return scores if self.training else scores.log_softmax(dim=1)


class Lazy(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 3))


class Rough(Scores):
    """Returns bfloat16, as a model that uses autocast itself does."""

    def forward(self, images):
        return super().forward(images).bfloat16()


class Precise(Scores):
    """Outputs of float64."""

    def forward(self, images):
        return super().forward(images).double()


class Normed(nn.Sequential):
    def __init__(self, classes: int = 3):
        super().__init__(nn.Flatten(), nn.LazyLinear(8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, classes))
        self(torch.zeros(2, 2, 12, 12))


class Squeezed(Scores):
    """Loses the images' dimension where there is one image."""

    def forward(self, images):
        return super().forward(images).squeeze()


Pair = collections.namedtuple("Pair", "mean count")


class Odd(Scores):
    """A model whose further state can't be read, stored or restored, whose layers come late, or without modes."""

    def __init__(self, how: str = "reading"):
        super().__init__()
        self.how = how

    def get_extra_state(self):
        return {"reading": lambda: {}["gone"], "named tuple": lambda: Pair(0, 1)}.get(self.how, lambda: "kept")()

    def set_extra_state(self, state):
        if self.how == "loading":
            raise RuntimeError("no way\nback")

    def train(self, mode=True):
        if self.how == "modes":
            raise RuntimeError("no modes")
        return super().train(mode)

    def forward(self, images):
        if self.how == "late layer" and self.training and torch.is_grad_enabled() and not hasattr(self, "late"):
            self.late = nn.Linear(3, 3)
        return super().forward(images)


class Dropped(Scores):
    def forward(self, images):
        return self.linear(F.dropout(F.relu_(self.convolution(images)).amax(dim=(2, 3)), 0.5, self.training))


class Drawn(Scores):
    """A network whose first weights and noise come from numpy and Python."""

    def __init__(self, classes: int = 3):
        super().__init__(classes=classes)
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(np.random.normal(0, 0.1, self.linear.weight.shape)))
            self.linear.bias.fill_(random.gauss(0, 0.1))

    def forward(self, images):
        noise = random.random() + np.random.random() if self.training else 0
        return super().forward(images + 0.1 * noise)


class NoisyWhenEvaluated(Drawn):
    """Draws from all three generators in evaluation mode, too."""

    def forward(self, images):
        noise = random.random() + np.random.random() + torch.rand(1)
        return super().forward(images + 0.1 * noise)


class Centred(Scores):
    """Subtracts a running mean of all images that it saw, in evaluation mode, too."""

    def __init__(self, classes: int = 3):
        super().__init__(classes=classes)
        self.register_buffer("mean", torch.zeros(2, 1, 1))

    def forward(self, images):
        self.mean.lerp_(images.mean(dim=(0, 2, 3)).view(2, 1, 1), 0.1)
        return super().forward(images - self.mean)


FRESH = np.random.default_rng()


class Unrepeatable(Scores):
    """A network whose first weights come from a generator that no seed sets."""

    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.linear.bias.copy_(torch.from_numpy(FRESH.normal(size=3)))


class Noisy(Scores):
    """Draws from a generator that no seed sets and no state holds."""

    def forward(self, images):
        return super().forward(images + FRESH.random())


class OneSeed(Scores):
    """Sets the seed itself, as many a notebook does."""

    def __init__(self):
        torch.manual_seed(42)
        super().__init__()


class OneSeedForEachStep(Scores):
    def forward(self, images):
        torch.manual_seed(42)
        return super().forward(images)


class Zeros(nn.Linear):
    """A network that has the same first weights for all seeds."""

    def __init__(self):
        super().__init__(288, 3)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, images):
        return super().forward(images.flatten(1))


class Frequencies(Zeros):
    """A network whose first outputs are the log-frequencies of the classes: logits that happen to be normalised."""

    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.bias.copy_(torch.tensor([0.2, 0.3, 0.5]).log())


class Parametrized(nn.Sequential):
    """A network with a parametrization, of which torch makes a new class for each module."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(288, 3)))


class Centring(nn.Linear):
    """Subtracts a running mean that it keeps in a buffer, either changed in place or replaced by another tensor.

    It updates the mean in evaluation mode, too.
    """

    def __init__(self, in_place: bool = True):
        super().__init__(288, 3)
        self.in_place = in_place
        self.register_buffer("mean", torch.zeros(288))
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, images):
        images = images.flatten(1)
        mean = 0.9 * self.mean + 0.1 * images.detach().mean(dim=0)
        if self.in_place:
            self.mean.copy_(mean)
            self.passes += 1
        else:
            self.mean, self.passes = mean, self.passes + 1
        return super().forward(images - self.mean)


class DefaultLayer(Scores):
    """Has a layer that its default argument makes once for all models."""

    def __init__(self, norm=nn.BatchNorm1d(3)):
        super().__init__()
        self.norm = norm

    def forward(self, images):
        return self.norm(super().forward(images))


class LayerOfTheClass(Scores):
    """Has a layer that is no submodule, and hides the one with its name."""

    scale = nn.Linear(3, 3)

    def __init__(self, hides: bool = False):
        super().__init__()
        if hides:
            self.scale = nn.Linear(3, 3)

    def forward(self, images):
        return self.scale(super().forward(images))


ONCE = nn.Sequential(nn.Flatten(), nn.Linear(288, 3))
FROZEN = nn.Linear(288, 288).requires_grad_(False)
UNKNOWN = torch.full((2,), torch.nan)


def once():
    """The same network for all models."""
    return ONCE


class OnFrozen(nn.Sequential):
    """Has frozen layers in common with other models, which saves memory and changes nothing."""

    def __init__(self):
        super().__init__(nn.Flatten(), FROZEN, nn.Linear(288, 3))


class FrozenLayerOfTheClass(Scores):
    """Has a frozen layer in the body of its class."""

    scale = nn.Linear(3, 3).requires_grad_(False)

    def forward(self, images):
        return self.scale(super().forward(images))


class Copied(Scores):
    """Copies a layer in the body of its class."""

    template = nn.Linear(3, 3)

    def __init__(self):
        super().__init__()
        self.scale = copy.deepcopy(self.template)

    def forward(self, images):
        return self.scale(super().forward(images))


def again_once():
    """The same network for all models, with new weights for each."""
    ONCE[1].reset_parameters()
    return ONCE


class WithUnknown(Scores):
    """Has a constant with nan in common with other models."""

    def __init__(self):
        super().__init__()
        self.register_buffer("unknown", UNKNOWN)


class Exiting(nn.Flatten):
    """Ends the process."""

    def forward(self, images):
        sys.exit("enough")


class Spread(nn.Linear):
    """A model of log-probabilities with a scale that must be positive."""

    def __init__(self):
        super().__init__(288, 3)
        self.scale = nn.Parameter(torch.full((64,), 0.01))

    def forward(self, images):
        if (self.scale <= 0).any():
            raise ValueError("a scale is not positive")
        return F.log_softmax(super().forward(images.flatten(1)) / self.scale.mean(), dim=1)


class Clamped(nn.Linear):
    """A model of log-probabilities that are never below -5."""

    def __init__(self):
        super().__init__(288, 3)

    def forward(self, images):
        return F.log_softmax(super().forward(images.flatten(1)), dim=1).clamp(min=-5)


class Remembering(Scores):
    """Keeps its last features, which the next pass replaces."""

    features = None

    def forward(self, images):
        self.features = self.convolution(images).detach()
        return super().forward(images)


class Undefined(Scores):
    """Takes the root of what may be negative, while it trains."""

    def forward(self, images):
        scores = super().forward(images)
        return (scores - scores.amax() - 1).sqrt() if self.training else scores


class Ageing(Centred):
    """Fails in its pass number `last`, as no check before a run can find out."""

    def __init__(self, last: int = 40, by_exit: bool = False):
        super().__init__()
        self.last, self.by_exit = last, by_exit
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, images):
        self.passes += 1
        if self.passes >= self.last:
            sys.exit("too old") if self.by_exit else self.fail()
        return super().forward(images)

    def fail(self):
        raise ArithmeticError("too\nold")


class Talkative(Scores):
    def forward(self, images):
        print("looking at", len(images))
        return super().forward(images)


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


def grey_bars():
    """Return the images of `bars` as whole numbers from 0 to 255."""
    images, labels = bars()
    return (images * 200).to(torch.uint8), labels


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


def labelled(largest: int, count: int = 400):
    """The rows of `table`, one of which has that label."""
    rows, labels = table(count)
    labels[0] = largest
    return rows, labels


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
        "one class": lambda: (rows, labels * 0 + 2),
        "column": lambda: (rows, labels[:, None]),
        "empty": lambda: (rows[:0], labels[:0]),
        "two": lambda: (rows[:2], labels[:2]),
        "single": lambda: (rows[:1], labels[:1]),
        "small": lambda: (torch.rand(400, 5, 4), labels),
        "wrapped": lambda: (rows, np.where(np.arange(400) == 7, np.uint64(2**64 - 3), np.uint64(0))),
    }[how]()


NOTHING = 3
