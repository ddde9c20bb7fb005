"""Where each optimizer's learning rate is searched, and the ranges they share, with the evidence for them.

`start`, which each study tries first, is the chapter's value or the one its authors recommend.
"""

from studies.space import Choice, Range, Space

SHARED: Space = {  # the chapter's values
    "batch_size": Choice(choices=(32, 64, 128, 256), start=32),
    "model.dropout.0": Range(low=0.0, high=0.5, start=0.10),
    "model.dropout.1": Range(low=0.0, high=0.6, start=0.25),
}


def _rate(low: float, high: float, start: float) -> Space:
    return {"optimizer.lr": Range(low=low, high=high, log=True, start=start)}


_MOMENTUM = _rate(1e-4, 1.0, 1e-2)  # DeepOBS: best 2.5e-3 at momentum .99; start: the rate that is .1 at momentum 0
_ADAM = _rate(1e-5, 3e-2, 1e-3)  # DeepOBS: best 2.5e-4, dead from 4e-2; start: Kingma and Ba 2015

SPACES: dict[str, Space] = {
    "sgd": _rate(1e-3, 1.0, 0.1),  # DeepOBS: best .158, dead from .63; start: He et al. 2016
    "momentum": _MOMENTUM,
    "nesterov": _MOMENTUM,
    "adagrad": _rate(1e-4, 1.0, 1e-2),  # Sivaprasad et al. 2020: prior median 1e-2
    "adadelta": _rate(1e-2, 10.0, 0.5),  # Crowded Valley: .573; start: the chapter
    "rmsprop": _rate(1e-5, 3e-2, 1e-3),  # Crowded Valley: 2e-4; start: Hinton 2012, lecture 6e
    "adam": _ADAM,
    "adamw": _ADAM,
    "nadam": _ADAM,
    "radam": _ADAM,
    "adamax": _ADAM,
}
