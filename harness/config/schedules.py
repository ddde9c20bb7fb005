"""Define the learning rate schedules and their settings; torch's schedulers compute the rates."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from harness.config.base import FrozenModel, NonNegative


class WarmedUp(FrozenModel):
    """Warm up: the rate grows linearly over `warm_up_epochs`, from `warm_up_factor` times the rate (`LinearLR`)."""

    warm_up_epochs: NonNegative = 0.0
    warm_up_factor: Annotated[float, Field(gt=0, le=1)] = 0.01


class ConstantSchedule(WarmedUp):
    """Keep the optimizer's rate after the warm-up."""

    name: Literal["constant"] = "constant"


class StepSchedule(WarmedUp):
    """Multiply the rate by `gamma` every `step_size` epochs after the warm-up (`torch.optim.lr_scheduler.StepLR`)."""

    name: Literal["step"] = "step"
    step_size: Annotated[int, Field(ge=1)] = 1
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1


class CosineSchedule(WarmedUp):
    """Lower the rate along a cosine to `eta_min`, from the warm-up to the run's end (Loshchilov and Hutter 2017).

    torch's scheduler is `torch.optim.lr_scheduler.CosineAnnealingLR`.
    """

    name: Literal["cosine"] = "cosine"
    eta_min: NonNegative = 0.0


class OneCycleSchedule(FrozenModel):
    """Raise the rate to the optimizer's rate and lower it again over the run (Smith and Topin 2019).

    torch's scheduler is `torch.optim.lr_scheduler.OneCycleLR`. Momentum stays constant, since not every optimizer has
    a momentum.
    """

    name: Literal["one-cycle"] = "one-cycle"
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    div_factor: Annotated[float, Field(ge=1, le=1e6)] = 25.0
    final_div_factor: Annotated[float, Field(ge=1, le=1e12)] = 1e4


AnySchedule = ConstantSchedule | StepSchedule | CosineSchedule | OneCycleSchedule
ScheduleConfig = Annotated[AnySchedule, Field(discriminator="name")]
SCHEDULES: dict[str, type[AnySchedule]] = {kind.model_fields["name"].default: kind for kind in get_args(AnySchedule)}
