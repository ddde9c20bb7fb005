"""The optimizers and their hyperparameters, with torch's own defaults, and a user's own optimizer."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Discriminator, Field, Tag

from harness.config.base import Decay, FrozenModel, LearningRate, NonNegative, Positive
from harness.config.plugins import OwnConfig, own_or


class SGDConfig(FrozenModel):
    """`torch.optim.SGD` without momentum, as the chapter introduces it."""

    name: Literal["sgd"] = "sgd"
    lr: LearningRate = 1e-3
    weight_decay: NonNegative = 0.0


class MomentumConfig(FrozenModel):
    """`torch.optim.SGD` with heavy-ball momentum (Polyak 1964)."""

    name: Literal["momentum"] = "momentum"
    lr: LearningRate = 1e-3
    momentum: Decay = 0.9
    dampening: Decay = 0.0
    weight_decay: NonNegative = 0.0


class NesterovConfig(FrozenModel):
    """`torch.optim.SGD` with Nesterov momentum (Sutskever et al. 2013)."""

    name: Literal["nesterov"] = "nesterov"
    lr: LearningRate = 1e-3
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    weight_decay: NonNegative = 0.0


class AdagradConfig(FrozenModel):
    """`torch.optim.Adagrad` (Duchi et al. 2011)."""

    name: Literal["adagrad"] = "adagrad"
    lr: LearningRate = 1e-2
    lr_decay: NonNegative = 0.0
    initial_accumulator_value: NonNegative = 0.0
    eps: NonNegative = 1e-10
    weight_decay: NonNegative = 0.0


class AdadeltaConfig(FrozenModel):
    """`torch.optim.Adadelta` (Zeiler 2012)."""

    name: Literal["adadelta"] = "adadelta"
    lr: LearningRate = 1.0
    rho: Decay = 0.9
    eps: Positive = 1e-6
    weight_decay: NonNegative = 0.0


class RMSpropConfig(FrozenModel):
    """`torch.optim.RMSprop` (Hinton 2012, lecture 6e)."""

    name: Literal["rmsprop"] = "rmsprop"
    lr: LearningRate = 1e-2
    alpha: Decay = 0.99
    momentum: Decay = 0.0
    centered: bool = False
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0


class AdamConfig(FrozenModel):
    """`torch.optim.Adam` (Kingma and Ba 2015; `amsgrad`: Reddi et al. 2018)."""

    name: Literal["adam"] = "adam"
    lr: LearningRate = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    amsgrad: bool = False
    decoupled_weight_decay: bool = False


class AdamWConfig(FrozenModel):
    """`torch.optim.AdamW` (Loshchilov and Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    lr: LearningRate = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 1e-2
    amsgrad: bool = False


class NAdamConfig(FrozenModel):
    """`torch.optim.NAdam` (Dozat 2016)."""

    name: Literal["nadam"] = "nadam"
    lr: LearningRate = 2e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    momentum_decay: NonNegative = 4e-3
    decoupled_weight_decay: bool = False


class RAdamConfig(FrozenModel):
    """`torch.optim.RAdam` (Liu et al. 2020)."""

    name: Literal["radam"] = "radam"
    lr: LearningRate = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    decoupled_weight_decay: bool = False


class AdamaxConfig(FrozenModel):
    """`torch.optim.Adamax` (Kingma and Ba 2015, section 7)."""

    name: Literal["adamax"] = "adamax"
    lr: LearningRate = 2e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0


AnyOptimizerConfig = (
    SGDConfig
    | MomentumConfig
    | NesterovConfig
    | AdagradConfig
    | AdadeltaConfig
    | RMSpropConfig
    | AdamConfig
    | AdamWConfig
    | NAdamConfig
    | RAdamConfig
    | AdamaxConfig
)
OPTIMIZER_CONFIGS: dict[str, type[AnyOptimizerConfig]] = {
    kind.model_fields["name"].default: kind for kind in get_args(AnyOptimizerConfig)
}


class OwnOptimizerConfig(OwnConfig):
    """A user's own `torch.optim.Optimizer`, whose first argument is the model's parameters."""

    first_argument: ClassVar[int] = 1


OptimizerConfig = Annotated[
    Annotated[AnyOptimizerConfig, Field(discriminator="name"), Tag("torch")]
    | Annotated[OwnOptimizerConfig, Tag("own")],
    Discriminator(own_or("torch")),
]
RATES = ("lr", "learning_rate", "rate", "eta", "step_size")  # what optimizers call their learning rate
RATE_KEYS = tuple(f"optimizer.{name}" for name in RATES)


def learning_rate(optimizer: AnyOptimizerConfig | OwnOptimizerConfig) -> tuple[str, float] | None:
    """Return an optimizer's learning rate under its own name for it; None where it has none that is a number."""
    found = {
        key: value for key, value in optimizer.model_dump().items() if key in RATES and isinstance(value, float | int)
    }
    return next(((key, found[key]) for key in RATES if key in found), None)
