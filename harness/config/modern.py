"""Define the optimizers of the package pytorch-optimizer, which the extra `modern` installs, and their defaults.

The defaults are the package's, unless a docstring says otherwise. Sophia is not included: its estimate of the
curvature needs a second loss, of labels that the model draws, or a graph of every step's gradients.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from harness.config.base import Decay, FrozenModel, LearningRate, NonNegative, Positive


class ModernOptimizerConfig(FrozenModel):
    """Hold the hyperparameters of an optimizer of `pytorch_optimizer`.

    `modern_class` is the name of its class; `fixed` are constructor arguments that a user can't change.
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
    """Prodigy (Mishchenko and Defazio 2024): Adam that estimates its learning rate, which is multiplied by `lr`.

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
    """Schedule-free AdamW (Defazio et al. 2024), for a constant schedule. Its averaged weights are evaluated.

    The weight of step t in the average is t^`r` times (the largest rate up to step t)^`weight_lr_power`.
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

    A side of a weight that is larger than `max_precondition_dim` is not preconditioned. With the authors' 10,000, the
    chapter's network would need the eigenbasis of a 4,608 × 4,608 matrix, which takes seconds each time.
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
    """Sharpness-aware minimisation (Foret et al. 2021) with SGD with momentum: two gradients per step.

    The second gradient is taken at the distance `rho` from the weights, in the direction of the first gradient.
    """

    modern_class: ClassVar[str] = "SAM"

    name: Literal["sam"] = "sam"
    lr: LearningRate = 1e-3
    momentum: Decay = 0.9
    weight_decay: NonNegative = 0.0
    rho: NonNegative = 0.05
    adaptive: bool = False
