"""Build torch's scheduler of the learning rate from its config."""

from torch import optim
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from harness.config import CosineSchedule, OneCycleSchedule, RunConfig, StepSchedule, WarmedUp, steps_per_epoch


def build_scheduler(config: RunConfig, optimizer: optim.Optimizer) -> LRScheduler | None:
    """Return torch's scheduler, which must be stepped after every batch; it scales each parameter group's own rate.

    Return None if the rate never changes.
    """
    of_an_epoch = steps_per_epoch(config)
    steps = of_an_epoch * config.epochs
    schedule = config.schedule
    if isinstance(schedule, OneCycleSchedule):
        return OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=steps,
            cycle_momentum=False,
            **schedule.model_dump(exclude={"name"}),
        )
    warm_up = round(schedule.warm_up_epochs * of_an_epoch)
    if warm_up == 0:
        return _after_warm_up(schedule, optimizer, steps, of_an_epoch)
    linear = LinearLR(optimizer, start_factor=schedule.warm_up_factor, total_iters=warm_up)
    after = _after_warm_up(schedule, optimizer, steps - warm_up, of_an_epoch)
    return SequentialLR(optimizer, [linear, after], milestones=[warm_up]) if after else linear


def _after_warm_up(
    schedule: WarmedUp, optimizer: optim.Optimizer, steps: int, of_an_epoch: int
) -> LRScheduler | None:
    if isinstance(schedule, StepSchedule):
        return StepLR(optimizer, step_size=schedule.step_size * of_an_epoch, gamma=schedule.gamma)
    if isinstance(schedule, CosineSchedule) and steps:
        return CosineAnnealingLR(optimizer, T_max=steps, eta_min=schedule.eta_min)
    return None
