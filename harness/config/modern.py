"""The optimizers of the package pytorch-optimizer, which the extra `modern` installs, and their hyperparameters.

Their defaults are the package's own, but for what says otherwise. Sophia is not among them: its estimate of the
curvature needs a second loss, of labels that the model draws, or a graph of every step's gradients.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from harness.config.base import Decay, FrozenModel, LearningRate, NonNegative, Positive


class ModernOptimizerConfig(FrozenModel):
    """The hyperparameters of an optimizer of `pytorch_optimizer`.

    `modern_class` is its name there; `fixed` are arguments of it that make it this optimizer.
    """

    modern_class: ClassVar[str]
    fixed: ClassVar[Mapping[str, Any]] = {}


class LionConfig(ModernOptimizerConfig):
    """Lion (Chen et al. 2023): the sign of a momentum, with decoupled weight decay."""

    modern_class: ClassVar[str] = "Lion"

    name: Literal["lion"] = "lion"
    lr: LearningRate = 1e-4
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    weight_decay: NonNegative = 0.0


class ProdigyConfig(ModernOptimizerConfig):
    """Prodigy (Mishchenko and Defazio 2024): Adam that estimates its learning rate, of which `lr` is a factor.

    `d0` is the first estimate of the distance to the solution, and `d_coef` a factor of all later ones.
    """

    modern_class: ClassVar[str] = "Prodigy"

    name: Literal["prodigy"] = "prodigy"
    lr: LearningRate = 1.0
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    d0: Positive = 1e-6
    d_coef: Positive = 1.0
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    bias_correction: bool = False
    safeguard_warmup: bool = False


class ScheduleFreeAdamWConfig(ModernOptimizerConfig):
    """Schedule-free AdamW (Defazio et al. 2024), whose averaged weights are measured; made for a constant schedule.

    Step t counts in the average as t^`r` times the largest rate until then to the power of `weight_lr_power`.
    """

    modern_class: ClassVar[str] = "ScheduleFreeAdamW"

    name: Literal["schedule_free_adamw"] = "schedule_free_adamw"
    lr: LearningRate = 2.5e-3
    betas: tuple[Annotated[float, Field(gt=0, lt=1)], Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    r: NonNegative = 0.0
    weight_lr_power: NonNegative = 2.0


class SOAPConfig(ModernOptimizerConfig):
    """SOAP (Vyas et al. 2025): Adam in the eigenbasis of Shampoo's preconditioner.

    `max_precondition_dim`: larger sides of a weight keep their own basis. The authors' 10,000 would have it compute
    the eigenbasis of a matrix of 4,608² for the chapter's network, which takes seconds each time.
    """

    modern_class: ClassVar[str] = "SOAP"

    name: Literal["soap"] = "soap"
    lr: LearningRate = 3e-3
    betas: tuple[Decay, Decay] = (0.95, 0.95)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 1e-2
    precondition_frequency: Annotated[int, Field(ge=1)] = 10
    max_precondition_dim: Annotated[int, Field(ge=1)] = 1024


class SAMConfig(ModernOptimizerConfig):
    """Sharpness-aware minimisation (Foret et al. 2021) around SGD with momentum: two gradients for each step.

    `rho` is how far from the weights, along their gradient, the second is taken.
    """

    modern_class: ClassVar[str] = "SAM"

    name: Literal["sam"] = "sam"
    lr: LearningRate = 1e-3
    momentum: Decay = 0.9
    weight_decay: NonNegative = 0.0
    rho: NonNegative = 0.05
    adaptive: bool = False
