"""From an optimizer's config to torch's own optimizer."""

from collections.abc import Iterable

from torch import nn, optim

from harness.config import AnyOptimizerConfig

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


def build_optimizer(config: AnyOptimizerConfig, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """torch's optimizer of that name with the config's hyperparameters."""
    hyperparameters = config.model_dump(exclude={"name"})
    if config.name == "nesterov":
        hyperparameters["nesterov"] = True
    return OPTIMIZERS[config.name](parameters, **hyperparameters)
