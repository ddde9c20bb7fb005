"""From a schedule's config to torch's own scheduler."""

import math

from torch import optim
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from harness.config import CosineSchedule, OneCycleSchedule, RunConfig, StepSchedule, WarmedUp


def build_scheduler(config: RunConfig, optimizer: optim.Optimizer) -> LRScheduler | None:
    """torch's scheduler, to be stepped after every batch, of each parameter group's own rate.

    None where the rate never changes.
    """
    steps_per_epoch = math.ceil(config.dataset.train_size / config.batch_size)
    steps = steps_per_epoch * config.epochs
    schedule = config.schedule
    if isinstance(schedule, OneCycleSchedule):
        return OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=steps,
            cycle_momentum=False,
            **schedule.model_dump(exclude={"name"}),
        )
    warm_up = round(schedule.warm_up_epochs * steps_per_epoch)
    if warm_up == 0:
        return _after_warm_up(schedule, optimizer, steps, steps_per_epoch)
    linear = LinearLR(optimizer, start_factor=schedule.warm_up_factor, total_iters=warm_up)
    after = _after_warm_up(schedule, optimizer, steps - warm_up, steps_per_epoch)
    return SequentialLR(optimizer, [linear, after], milestones=[warm_up]) if after else linear


def _after_warm_up(
    schedule: WarmedUp, optimizer: optim.Optimizer, steps: int, steps_per_epoch: int
) -> LRScheduler | None:
    if isinstance(schedule, StepSchedule):
        return StepLR(optimizer, step_size=schedule.step_size * steps_per_epoch, gamma=schedule.gamma)
    if isinstance(schedule, CosineSchedule) and steps:
        return CosineAnnealingLR(optimizer, T_max=steps, eta_min=schedule.eta_min)
    return None
