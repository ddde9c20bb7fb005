"""Learning-rate schedules are torch's own, stepped after every batch, and part of the state."""

import math

import pytest
import torch

from harness.config import CosineSchedule, RunConfig, with_settings
from harness.errors import BadInputError
from harness.training.optimizers import build_optimizer
from harness.training.schedules import build_scheduler

STEPS_PER_EPOCH = 20  # of 640 images in batches of 32


def rates(config: RunConfig) -> list[float]:
    """The learning rate of each step of the run."""
    optimizer = build_optimizer(config.optimizer, [torch.nn.Parameter(torch.zeros(1))])
    scheduler = build_scheduler(config, optimizer)
    used = []
    for _ in range(STEPS_PER_EPOCH * config.epochs):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler:
            scheduler.step()
    return used


@pytest.fixture
def scheduled(config: RunConfig):
    """A run of four epochs at learning rate .1, with these fields of its schedule."""
    return lambda **fields: with_settings(
        config,
        {"optimizer.name": "sgd", "optimizer.lr": 0.1, "epochs": 4}
        | {f"schedule.{key}": value for key, value in fields.items()},
    )


def test_the_constant_schedule_keeps_the_optimizers_rate(scheduled):
    assert rates(scheduled()) == [0.1] * 80


def test_the_step_schedule_multiplies_the_rate_by_gamma_every_step_size_epochs(scheduled):
    found = rates(scheduled(name="step", step_size=2, gamma=0.5))
    assert found == pytest.approx([0.1] * 40 + [0.05] * 40)


def test_the_cosine_schedule_falls_to_its_minimum_at_the_end_of_the_run(scheduled):
    found = rates(scheduled(name="cosine", eta_min=0.01))
    assert found == pytest.approx([0.01 + 0.09 * (1 + math.cos(math.pi * step / 80)) / 2 for step in range(80)])


def test_one_cycle_rises_to_the_optimizers_rate_and_falls_below_where_it_began(scheduled):
    found = rates(scheduled(name="one-cycle"))
    assert found[0] == pytest.approx(0.1 / 25)
    assert max(found) == pytest.approx(0.1)
    assert found.index(max(found)) == pytest.approx(0.3 * 80, abs=1)
    assert found[-1] == pytest.approx(0.1 / 25 / 1e4)


@pytest.mark.parametrize("name", ["constant", "step", "cosine"])
def test_warm_up_is_linear_and_then_the_schedule_begins(scheduled, name):
    found = rates(scheduled(name=name, warm_up_epochs=0.5, warm_up_factor=0.1))
    assert found[:10] == pytest.approx([0.1 * (0.1 + 0.9 * step / 10) for step in range(10)])
    assert found[10] == pytest.approx(0.1)
    expected = {"constant": 0.1, "step": 1e-4, "cosine": 0.05 * (1 + math.cos(math.pi * 69 / 70))}
    assert found[-1] == pytest.approx(expected[name])


@pytest.mark.parametrize("name", ["constant", "step", "cosine", "one-cycle"])
def test_each_parameter_group_gets_the_same_rates_as_if_it_were_alone(scheduled, name):
    config = scheduled(name=name)

    def rates_of(*groups: float) -> list[list[float]]:
        parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in groups]
        optimizer = torch.optim.SGD(parameters)
        scheduler = build_scheduler(config, optimizer)
        used = []
        for _ in range(STEPS_PER_EPOCH * config.epochs):
            used.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            if scheduler:
                scheduler.step()
        return used

    together = rates_of(0.1, 0.001)
    assert together == [one + other for one, other in zip(rates_of(0.1), rates_of(0.001), strict=True)]
    assert max(together)[1] == pytest.approx(0.001)


def test_one_cycle_equals_torchs_with_each_groups_rate_as_its_maximum(scheduled):
    config = scheduled(name="one-cycle")
    ours, torchs = (
        torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (0.1, 0.001)])
        for _ in range(2)
    )
    plain = torch.optim.lr_scheduler.OneCycleLR(torchs, max_lr=[0.1, 0.001], total_steps=80, cycle_momentum=False)
    scheduler = build_scheduler(config, ours)
    for _ in range(79):
        assert [group["lr"] for group in ours.param_groups] == [group["lr"] for group in torchs.param_groups]
        for each, schedule in ((ours, scheduler), (torchs, plain)):
            each.step()
            schedule.step()


def test_a_warm_up_longer_than_the_run_is_refused(scheduled):
    with pytest.raises(BadInputError, match=r"schedule.warm_up_epochs 5.0: expected 0 to epochs \(4\)"):
        scheduled(warm_up_epochs=5)


def test_a_new_schedule_starts_from_its_own_defaults_and_a_wrong_one_is_named(scheduled):
    config = with_settings(scheduled(name="step", gamma=0.5), {"schedule.name": "cosine"})
    assert config.schedule == CosineSchedule()
    with pytest.raises(BadInputError, match="did you mean 'cosine'"):
        scheduled(name="cosin")
    with pytest.raises(BadInputError, match=r"schedule.gamma 2\.0: expected a number less"):
        scheduled(name="step", gamma=2.0)
    with pytest.raises(BadInputError, match=r"'schedule.gamma' is unknown: expected one of .*schedule.eta_min"):
        scheduled(name="cosine", gamma=0.5)
