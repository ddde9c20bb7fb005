"""From an optimizer's config to torch's own optimizer, or a user's own."""

import inspect
from collections.abc import Iterable

from torch import nn, optim

from harness.config import AnyOptimizerConfig, OwnOptimizerConfig
from harness.config.plugins import find

OPTIMIZERS: dict[str, type[optim.Optimizer]] = {
    "sgd": optim.SGD,
    "momentum": optim.SGD,
    "nesterov": optim.SGD,
    "adagrad": optim.Adagrad,
    "adadelta": optim.Adadelta,
    "rmsprop": optim.RMSprop,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "adamax": optim.Adamax,
}


def build_optimizer(
    config: AnyOptimizerConfig | OwnOptimizerConfig, parameters: Iterable[nn.Parameter], fused: bool = False
) -> optim.Optimizer:
    """torch's optimizer of that name, or a user's own, with the config's hyperparameters.

    `fused`: its step in one kernel, where torch has one for that optimizer.
    """
    if isinstance(config, OwnOptimizerConfig):
        return find(config.name)(parameters, **config.arguments)  # type: ignore[no-any-return]
    hyperparameters = config.model_dump(exclude={"name"})
    if config.name == "nesterov":
        hyperparameters["nesterov"] = True
    if fused and "fused" in inspect.signature(OPTIMIZERS[config.name]).parameters:
        hyperparameters["fused"] = True
    return OPTIMIZERS[config.name](parameters, **hyperparameters)
