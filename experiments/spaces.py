"""Where each optimizer's learning rate is searched, and the ranges they share, with the evidence for them."""

from studies.space import Choice, Range, Space

SHARED: Space = {
    "batch_size": Choice(choices=(32, 64, 128, 256)),  # the chapter: 32
    "model.dropout.0": Range(low=0.0, high=0.5),  # the chapter: .10
    "model.dropout.1": Range(low=0.0, high=0.6),  # the chapter: .25
}

_MOMENTUM: Space = {"optimizer.lr": Range(low=1e-4, high=1.0, log=True)}  # DeepOBS: best 2.5e-3 at momentum .99
_ADAM: Space = {"optimizer.lr": Range(low=1e-5, high=3e-2, log=True)}  # DeepOBS: best 2.5e-4, dead from 4e-2

SPACES: dict[str, Space] = {
    "sgd": {"optimizer.lr": Range(low=1e-3, high=1.0, log=True)},  # DeepOBS: best .158, dead from .63
    "momentum": _MOMENTUM,
    "nesterov": _MOMENTUM,
    "adagrad": {"optimizer.lr": Range(low=1e-4, high=1.0, log=True)},  # Sivaprasad et al.: prior median 1e-2
    "adadelta": {"optimizer.lr": Range(low=1e-2, high=10.0, log=True)},  # the chapter .5, Crowded Valley .573
    "rmsprop": {"optimizer.lr": Range(low=1e-5, high=3e-2, log=True)},  # Crowded Valley: 2e-4
    "adam": _ADAM,
    "adamw": _ADAM,
    "nadam": _ADAM,
    "radam": _ADAM,
    "adamax": _ADAM,
}
