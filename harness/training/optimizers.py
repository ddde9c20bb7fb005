"""Build an optimizer from its config: one of torch, of pytorch-optimizer, or a user's own."""

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

OF_ADAMW = "adamw_"  # the prefix of muon's hyperparameters for AdamW


def build_optimizer(
    config: AnyOptimizerConfig | OwnOptimizerConfig, parameters: Iterable[nn.Parameter], fused: bool = False
) -> optim.Optimizer:
    """Return the optimizer with the config's name and hyperparameters.

    With `fused`, its step is one fused kernel, if torch has such a kernel for the optimizer.

    Raises:
        BadInputError: the optimizer's package is not installed, or the model has no weights that it can train.
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
    """Return the optimizer's class, from torch or from pytorch-optimizer.

    Raises:
        BadInputError: the class is in pytorch-optimizer, which is not installed.
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
            expected="an optimizer of torch",
            next_step="choose one, or run pip install 'optimizer-harness[modern]'",
        ) from None
    return getattr(pytorch_optimizer, config.modern_class)


def registered_name(given: type[optim.Optimizer]) -> str | None:
    """Return the first name under which a class is registered; None for a class that is not, such as a user's own."""
    for name, kind in OPTIMIZER_CONFIGS.items():
        with contextlib.suppress(BadInputError):  # a package that is not installed does not have the class
            if class_of(kind()) is given:
                return name
    return None


def needs_closure(optimizer: optim.Optimizer) -> bool:
    """Return whether an optimizer's step must compute gradients itself, through a closure.

    This is so if `step` can't be called without a closure (L-BFGS), or if the optimizer makes two passes,
    `first_step` and `second_step` (SAM and similar ones). Other optimizers accept a closure, but do not need it.
    """
    arguments = list(inspect.signature(type(optimizer).step).parameters.values())[1:]
    is_asked_for = bool(arguments) and arguments[0].default is inspect.Parameter.empty
    makes_two_passes = all(callable(getattr(optimizer, name, None)) for name in ("first_step", "second_step"))
    return bool(arguments) and (is_asked_for or makes_two_passes)
