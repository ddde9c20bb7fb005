"""The learning-rate schedules, each by torch's own scheduler."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from harness.config.base import FrozenModel, NonNegative


class WarmedUp(FrozenModel):
    """For `warm_up_epochs` the rate grows linearly, from `warm_up_factor` of it, with each step (`LinearLR`)."""

    warm_up_epochs: NonNegative = 0.0
    warm_up_factor: Annotated[float, Field(gt=0, le=1)] = 0.01


class ConstantSchedule(WarmedUp):
    """The optimizer's rate, after the warm-up."""

    name: Literal["constant"] = "constant"


class StepSchedule(WarmedUp):
    """`torch.optim.lr_scheduler.StepLR`: times `gamma` every `step_size` epochs after the warm-up."""

    name: Literal["step"] = "step"
    step_size: Annotated[int, Field(ge=1)] = 1
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1


class CosineSchedule(WarmedUp):
    """`torch.optim.lr_scheduler.CosineAnnealingLR` from the warm-up to the run's end (Loshchilov and Hutter 2017)."""

    name: Literal["cosine"] = "cosine"
    eta_min: NonNegative = 0.0


class OneCycleSchedule(FrozenModel):
    """`torch.optim.lr_scheduler.OneCycleLR` over the run, up to the optimizer's rate (Smith and Topin 2019).

    Momentum is not cycled: not every optimizer has one.
    """

    name: Literal["one-cycle"] = "one-cycle"
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    div_factor: Annotated[float, Field(ge=1, le=1e6)] = 25.0
    final_div_factor: Annotated[float, Field(ge=1, le=1e12)] = 1e4


AnySchedule = ConstantSchedule | StepSchedule | CosineSchedule | OneCycleSchedule
ScheduleConfig = Annotated[AnySchedule, Field(discriminator="name")]
SCHEDULES: dict[str, type[AnySchedule]] = {kind.model_fields["name"].default: kind for kind in get_args(AnySchedule)}
