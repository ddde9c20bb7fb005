"""From an optimizer's config to torch's own optimizer, or a user's own."""

import inspect
from collections.abc import Iterable

from torch import nn, optim

from harness.config import AnyOptimizerConfig, OwnOptimizerConfig
from harness.config.imports import find


def build_optimizer(
    config: AnyOptimizerConfig | OwnOptimizerConfig, parameters: Iterable[nn.Parameter], fused: bool = False
) -> optim.Optimizer:
    """torch's optimizer of that name, or a user's own, with the config's hyperparameters.

    `fused`: its step in one kernel, where torch has one for that optimizer.
    """
    if isinstance(config, OwnOptimizerConfig):
        return find(config.name)(parameters, **config.arguments)  # type: ignore[no-any-return]
    kind = getattr(optim, config.torch_class)
    arguments = {**config.model_dump(exclude={"name"}), **config.fixed}
    if fused and "fused" in inspect.signature(kind).parameters:
        arguments["fused"] = True
    return kind(parameters, **arguments)  # type: ignore[no-any-return]
