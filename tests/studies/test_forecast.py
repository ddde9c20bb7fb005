"""The forecast of a sweep comes from real steps and from the schedule that the sweep will follow."""

from concurrent.futures import Future

import pytest

from harness.config import measured_steps
from harness.training.timing import ImageSeconds
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool
from studies.forecast import BESIDES, estimate_seconds, measure


@pytest.mark.parametrize(
    ("workers", "of_trials", "of_finals"),
    [
        (1, 12, 4),
        (2, 6, 2),
        (8, 6, 1),  # the trials of a study follow each other
    ],
)
def test_the_forecast_schedules_the_budget_as_the_sweep_does(definition, workers, of_trials, of_finals):
    data = definition.base.dataset
    points = 7  # within an epoch of so few steps, the early ones among them: each on all of so small a validation set
    assert len(measured_steps(definition.base, 1)) == points
    trial = 0.01 * data.train_size + 0.001 * data.validation_size * (1 + points)  # seconds of an epoch
    final = trial + 0.001 * 10_000
    seconds = {name: [ImageSeconds(0.005, 0.001), ImageSeconds(0.015, 0.001)] for name in definition.optimizers}
    assert estimate_seconds(definition, workers, seconds) == pytest.approx(
        of_trials * trial + of_finals * final + BESIDES
    )


class Asked(InlineExecutor):
    def __init__(self):
        self.configs = []

    def submit(self, fn, /, *args, **kwargs) -> Future:
        self.configs += args
        return super().submit(fn, *args, **kwargs)


@pytest.mark.long
def test_real_steps_of_each_optimizer_are_measured_and_no_data_is_needed(definition, project):
    asked = Asked()
    seconds = measure(definition, WorkerPool(asked, 1, project / "missing"))
    assert {name: len(measured) for name, measured in seconds.items()} == {"sgd": 2, "adam": 2}
    assert all(each.train > each.evaluate > 0 for measured in seconds.values() for each in measured)
    assert [config.optimizer.name for config in asked.configs] == ["sgd", "adam"] * 2
    assert [config.model.dropout for config in asked.configs] == [0.125, 0.125, 0.375, 0.375]
    assert list(project.iterdir()) == []
