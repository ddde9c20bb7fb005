"""Define the optimizers and their hyperparameters, with torch's own defaults, and a user's own optimizer."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Discriminator, Field, Tag

from harness.config.base import Decay, FrozenModel, LearningRate, NonNegative, Positive
from harness.config.modern import (
    LionConfig,
    ProdigyConfig,
    SAMConfig,
    ScheduleFreeAdamWConfig,
    SOAPConfig,
)
from harness.config.plugins import OwnConfig, own_or


class TorchOptimizerConfig(FrozenModel):
    """Hold the hyperparameters of an optimizer of `torch.optim`.

    `torch_class` is the name of its class; `fixed` are constructor arguments that a user can't change.
    """

    torch_class: ClassVar[str]
    fixed: ClassVar[Mapping[str, Any]] = {}


class SGDConfig(TorchOptimizerConfig):
    """`torch.optim.SGD` without momentum, as the chapter introduces it."""

    torch_class: ClassVar[str] = "SGD"

    name: Literal["sgd"] = "sgd"
    lr: LearningRate = 1e-3
    weight_decay: NonNegative = 0.0


class MomentumConfig(TorchOptimizerConfig):
    """`torch.optim.SGD` with heavy-ball momentum (Polyak 1964)."""

    torch_class: ClassVar[str] = "SGD"

    name: Literal["momentum"] = "momentum"
    lr: LearningRate = 1e-3
    momentum: Decay = 0.9
    dampening: Decay = 0.0
    weight_decay: NonNegative = 0.0


class NesterovConfig(TorchOptimizerConfig):
    """`torch.optim.SGD` with Nesterov momentum (Sutskever et al. 2013)."""

    torch_class: ClassVar[str] = "SGD"
    fixed: ClassVar[Mapping[str, Any]] = {"nesterov": True}

    name: Literal["nesterov"] = "nesterov"
    lr: LearningRate = 1e-3
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    weight_decay: NonNegative = 0.0


class AdagradConfig(TorchOptimizerConfig):
    """`torch.optim.Adagrad` (Duchi et al. 2011)."""

    torch_class: ClassVar[str] = "Adagrad"

    name: Literal["adagrad"] = "adagrad"
    lr: LearningRate = 1e-2
    lr_decay: NonNegative = 0.0
    initial_accumulator_value: NonNegative = 0.0
    eps: NonNegative = 1e-10
    weight_decay: NonNegative = 0.0


class AdadeltaConfig(TorchOptimizerConfig):
    """`torch.optim.Adadelta` (Zeiler 2012)."""

    torch_class: ClassVar[str] = "Adadelta"

    name: Literal["adadelta"] = "adadelta"
    lr: LearningRate = 1.0
    rho: Decay = 0.9
    eps: Positive = 1e-6
    weight_decay: NonNegative = 0.0


class RMSpropConfig(TorchOptimizerConfig):
    """`torch.optim.RMSprop` (Hinton 2012, lecture 6e)."""

    torch_class: ClassVar[str] = "RMSprop"

    name: Literal["rmsprop"] = "rmsprop"
    lr: LearningRate = 1e-2
    alpha: Decay = 0.99
    momentum: Decay = 0.0
    centered: bool = False
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0


class AdamConfig(TorchOptimizerConfig):
    """`torch.optim.Adam` (Kingma and Ba 2015; `amsgrad`: Reddi et al. 2018)."""

    torch_class: ClassVar[str] = "Adam"

    name: Literal["adam"] = "adam"
    lr: LearningRate = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    amsgrad: bool = False
    decoupled_weight_decay: bool = False


class AdamWConfig(TorchOptimizerConfig):
    """`torch.optim.AdamW` (Loshchilov and Hutter 2019)."""

    torch_class: ClassVar[str] = "AdamW"

    name: Literal["adamw"] = "adamw"
    lr: LearningRate = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 1e-2
    amsgrad: bool = False


class NAdamConfig(TorchOptimizerConfig):
    """`torch.optim.NAdam` (Dozat 2016)."""

    torch_class: ClassVar[str] = "NAdam"

    name: Literal["nadam"] = "nadam"
    lr: LearningRate = 2e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    momentum_decay: NonNegative = 4e-3
    decoupled_weight_decay: bool = False


class RAdamConfig(TorchOptimizerConfig):
    """`torch.optim.RAdam` (Liu et al. 2020)."""

    torch_class: ClassVar[str] = "RAdam"

    name: Literal["radam"] = "radam"
    lr: LearningRate = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    decoupled_weight_decay: bool = False


class AdamaxConfig(TorchOptimizerConfig):
    """`torch.optim.Adamax` (Kingma and Ba 2015, section 7)."""

    torch_class: ClassVar[str] = "Adamax"

    name: Literal["adamax"] = "adamax"
    lr: LearningRate = 2e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0


class AdafactorConfig(TorchOptimizerConfig):
    """`torch.optim.Adafactor` (Shazeer and Stern 2018), without its first moment.

    The step is relative to the size of the weights, and `lr` is the largest relative step. `d` is the threshold at
    which updates are clipped.
    """

    torch_class: ClassVar[str] = "Adafactor"
    fixed: ClassVar[Mapping[str, Any]] = {
        "eps": (None, 1e-3)
    }  # torch's defaults; None: the eps of the weights' dtype

    name: Literal["adafactor"] = "adafactor"
    lr: LearningRate = 1e-2
    beta2_decay: Annotated[float, Field(le=0)] = -0.8
    d: Annotated[float, Field(ge=1)] = 1.0
    weight_decay: NonNegative = 0.0


class ASGDConfig(TorchOptimizerConfig):
    """`torch.optim.ASGD` (Polyak and Juditsky 1992). The weights themselves are evaluated, not their average.

    The rate at a step is `lr` / (1 + `lambd` * `lr` * step)^`alpha`; averaging begins after `t0` steps.
    """

    torch_class: ClassVar[str] = "ASGD"

    name: Literal["asgd"] = "asgd"
    lr: LearningRate = 1e-2
    lambd: NonNegative = 1e-4
    alpha: NonNegative = 0.75
    t0: NonNegative = 1e6
    weight_decay: NonNegative = 0.0


class RpropConfig(TorchOptimizerConfig):
    """`torch.optim.Rprop` (Riedmiller and Braun 1993), which was made for gradients of the whole training set.

    `lr` is the first step size of each weight; `etas` are the factors that shrink and grow it, within `step_sizes`.
    """

    torch_class: ClassVar[str] = "Rprop"

    name: Literal["rprop"] = "rprop"
    lr: LearningRate = 1e-2
    etas: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1)]] = (0.5, 1.2)
    step_sizes: tuple[Positive, Positive] = (1e-6, 50.0)


class LBFGSConfig(TorchOptimizerConfig):
    """`torch.optim.LBFGS` (Liu and Nocedal 1989), with `max_iter` iterations per batch and several gradients in each.

    torch's defaults (20 iterations, a history of 100, no line search) are meant for the whole training set. On
    batches they are slower and no better. A state holds 2 * `history_size` copies of the weights.
    """

    torch_class: ClassVar[str] = "LBFGS"

    name: Literal["lbfgs"] = "lbfgs"
    lr: LearningRate = 1.0
    max_iter: Annotated[int, Field(ge=1, le=1000)] = 4
    max_eval: Annotated[int, Field(ge=1, le=1000)] | None = None
    tolerance_grad: NonNegative = 1e-7
    tolerance_change: NonNegative = 1e-9
    history_size: Annotated[int, Field(ge=1, le=1000)] = 10
    line_search_fn: Literal["strong_wolfe"] | None = "strong_wolfe"


class MuonConfig(TorchOptimizerConfig):
    """`torch.optim.Muon` (Jordan et al. 2024) for hidden matrices, `torch.optim.AdamW` for all other weights.

    The `adamw_` fields are AdamW's arguments; all other fields are Muon's, with torch's names.
    """

    torch_class: ClassVar[str] = "Muon"

    name: Literal["muon"] = "muon"
    lr: LearningRate = 1e-3
    weight_decay: NonNegative = 0.1
    momentum: Decay = 0.95
    nesterov: bool = True
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315)
    eps: Positive = 1e-7
    ns_steps: Annotated[int, Field(ge=1, lt=100)] = 5
    adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = None
    adamw_lr: LearningRate = 1e-3
    adamw_betas: tuple[Decay, Decay] = (0.9, 0.999)
    adamw_eps: NonNegative = 1e-8
    adamw_weight_decay: NonNegative = 1e-2


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
    | AdafactorConfig
    | ASGDConfig
    | RpropConfig
    | LBFGSConfig
    | MuonConfig
    | LionConfig
    | ProdigyConfig
    | ScheduleFreeAdamWConfig
    | SOAPConfig
    | SAMConfig
)
OPTIMIZER_CONFIGS: dict[str, type[AnyOptimizerConfig]] = {
    kind.model_fields["name"].default: kind for kind in get_args(AnyOptimizerConfig)
}


class OwnOptimizerConfig(OwnConfig):
    """Configure a user's own `torch.optim.Optimizer`, whose first argument is the model's parameters."""

    first_argument: ClassVar[int] = 1


OptimizerConfig = Annotated[
    Annotated[AnyOptimizerConfig, Field(discriminator="name"), Tag("torch")]
    | Annotated[OwnOptimizerConfig, Tag("own")],
    Discriminator(own_or("torch")),
]
RATES = ("lr", "learning_rate", "rate", "eta", "step_size")  # the names that optimizers give their learning rate
RATE_KEYS = tuple(f"optimizer.{name}" for name in RATES)


def learning_rate(optimizer: AnyOptimizerConfig | OwnOptimizerConfig) -> tuple[str, float] | None:
    """Return the name and value of an optimizer's learning rate; None if it has no learning rate that is a number."""
    found = {
        key: value for key, value in optimizer.model_dump().items() if key in RATES and isinstance(value, float | int)
    }
    return next(((key, found[key]) for key in RATES if key in found), None)
