"""Successive halving within one study: which trials go on after a rung (Jamieson and Talwalkar 2016).

Optuna's pruner marks a rung as passed in its storage while it decides, so a coordinator that is killed in between
would promote what it meant to prune. Here a decision is a function of accuracies, and can be taken again.
"""

import math
from collections.abc import Mapping


def rungs(warm_up: int, factor: int, epochs: int) -> list[int]:
    """The epochs after which trials are pruned: `warm_up` times the powers of `factor`, before the last epoch."""
    found = []
    epoch = warm_up
    while epoch < epochs:
        found.append(epoch)
        epoch *= factor
    return found


def goes_on(number: int, accuracies: Mapping[int, float], factor: int) -> bool:
    """Whether the trial is in the best 1/`factor` (rounded up) of the trials' accuracies at a rung.

    Of equal ones the earlier trial is the better.
    """
    ranked = sorted(accuracies, key=lambda each: (-accuracies[each], each))
    return number in ranked[: math.ceil(len(ranked) / factor)]
