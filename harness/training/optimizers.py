"""From an optimizer's config to the optimizer: torch's, one of pytorch-optimizer, or a user's own."""

import contextlib
import inspect
from collections.abc import Iterable
from typing import Any

from torch import nn, optim

from harness.config import (
    OPTIMIZER_CONFIGS,
    AnyOptimizerConfig,
    MuonConfig,
    OwnOptimizerConfig,
    SAMConfig,
    TorchOptimizerConfig,
)
from harness.config.imports import find
from harness.errors import BadInputError
from harness.training.muon import MuonAndAdamW

OF_ADAMW = "adamw_"  # begins the names of what muon gives its AdamW


def build_optimizer(
    config: AnyOptimizerConfig | OwnOptimizerConfig, parameters: Iterable[nn.Parameter], fused: bool = False
) -> optim.Optimizer:
    """Return the optimizer of that name, or a user's own, with the config's hyperparameters.

    `fused`: its step in one kernel, where torch has one for that optimizer.

    Raises:
        BadInputError: the package that has it is not installed, or the model has nothing for it.
    """
    if isinstance(config, OwnOptimizerConfig):
        return find(config.name)(parameters, **config.arguments)  # type: ignore[no-any-return]
    arguments = {**config.model_dump(exclude={"name"}), **config.fixed}
    if isinstance(config, MuonConfig):
        of_adamw = {key: each for key, each in arguments.items() if key.startswith(OF_ADAMW)}
        of_muon = {key: each for key, each in arguments.items() if key not in of_adamw}
        return MuonAndAdamW(parameters, of_muon, {key.removeprefix(OF_ADAMW): each for key, each in of_adamw.items()})
    kind = class_of(config)
    if isinstance(config, SAMConfig):
        arguments["base_optimizer"] = optim.SGD
    if fused and "fused" in inspect.signature(kind).parameters:
        arguments["fused"] = True
    return kind(parameters, **arguments)  # type: ignore[no-any-return]


def class_of(config: AnyOptimizerConfig) -> Any:  # noqa: ANN401
    """Return the class that has that optimizer, in torch or in pytorch-optimizer.

    Raises:
        BadInputError: pytorch-optimizer has it, and is not installed.
    """
    if isinstance(config, TorchOptimizerConfig):
        return getattr(optim, config.torch_class)
    try:
        import pytorch_optimizer
    except ImportError:
        raise BadInputError(
            "optimizer.name",
            config.name,
            "needs the package pytorch-optimizer, which is not installed",
            expected="an optimizer of torch without it",
            next_step="choose one of them, or pip install 'optimizer-harness[modern]'",
        ) from None
    return getattr(pytorch_optimizer, config.modern_class)


def registered_name(given: type[optim.Optimizer]) -> str | None:
    """Return the first name under which a class is registered; None where it is not, as a user's own."""
    for name, kind in OPTIMIZER_CONFIGS.items():
        with contextlib.suppress(BadInputError):  # a package that is not installed does not have the class
            if class_of(kind()) is given:
                return name
    return None


def needs_closure(optimizer: optim.Optimizer) -> bool:
    """Judge whether an optimizer's step computes gradients itself, through a closure.

    It does where `step` can't be called without one (L-BFGS), and where it makes two passes, `first_step` and
    `second_step` (SAM and its kin). That other optimizers take a closure, too, is a convenience.
    """
    arguments = list(inspect.signature(type(optimizer).step).parameters.values())[1:]
    is_asked_for = bool(arguments) and arguments[0].default is inspect.Parameter.empty
    makes_two_passes = all(callable(getattr(optimizer, name, None)) for name in ("first_step", "second_step"))
    return bool(arguments) and (is_asked_for or makes_two_passes)
