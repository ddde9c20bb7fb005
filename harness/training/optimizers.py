"""From an optimizer's config to the optimizer: torch's, or a user's own."""

import inspect
from collections.abc import Iterable

from torch import nn, optim

from harness.config import AnyOptimizerConfig, MuonConfig, OwnOptimizerConfig
from harness.config.imports import find
from harness.training.muon import MuonAndAdamW

OF_ADAMW = "adamw_"  # begins the names of what muon gives its AdamW


def build_optimizer(
    config: AnyOptimizerConfig | OwnOptimizerConfig, parameters: Iterable[nn.Parameter], fused: bool = False
) -> optim.Optimizer:
    """Return the optimizer of that name, or a user's own, with the config's hyperparameters.

    `fused`: its step in one kernel, where torch has one for that optimizer.

    Raises:
        BadInputError: the model has nothing for it.
    """
    if isinstance(config, OwnOptimizerConfig):
        return find(config.name)(parameters, **config.arguments)  # type: ignore[no-any-return]
    arguments = {**config.model_dump(exclude={"name"}), **config.fixed}
    if isinstance(config, MuonConfig):
        of_adamw = {key: each for key, each in arguments.items() if key.startswith(OF_ADAMW)}
        of_muon = {key: each for key, each in arguments.items() if key not in of_adamw}
        return MuonAndAdamW(parameters, of_muon, {key.removeprefix(OF_ADAMW): each for key, each in of_adamw.items()})
    kind = getattr(optim, config.torch_class)
    if fused and "fused" in inspect.signature(kind).parameters:
        arguments["fused"] = True
    return kind(parameters, **arguments)  # type: ignore[no-any-return]


def needs_closure(optimizer: optim.Optimizer) -> bool:
    """Judge whether an optimizer's step computes gradients itself, through a closure.

    It does where `step` can't be called without one (L-BFGS), and where it makes two passes, `first_step` and
    `second_step` (SAM and its kin). That other optimizers take a closure, too, is a convenience.
    """
    arguments = list(inspect.signature(type(optimizer).step).parameters.values())[1:]
    is_asked_for = bool(arguments) and arguments[0].default is inspect.Parameter.empty
    makes_two_passes = all(callable(getattr(optimizer, name, None)) for name in ("first_step", "second_step"))
    return bool(arguments) and (is_asked_for or makes_two_passes)
