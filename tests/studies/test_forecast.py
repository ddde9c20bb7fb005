"""Before a sweep begins it is said how long it would take, from real steps and by how it will be worked through."""

from concurrent.futures import Future

import pytest

from harness.pace import Pace
from studies.executors import InlineExecutor, WorkerPool
from studies.forecast import BESIDES, measure, reckon

TRIAL, FINAL = 256 * 0.01 + 160 * 0.001, 256 * 0.01 + (160 + 10_000) * 0.001  # seconds of an epoch


@pytest.mark.parametrize(
    ("workers", "seconds"),
    [
        (1, 12 * TRIAL + 4 * FINAL),
        (2, 6 * TRIAL + 2 * FINAL + FINAL),  # the finals of the first seed train one at a time
        (8, 6 * TRIAL + 2 * FINAL + FINAL),  # and the trials of a study follow each other
    ],
)
def test_the_budget_is_worked_through_as_the_sweep_will(definition, workers, seconds):
    paces = {name: [Pace(0.005, 0.001), Pace(0.015, 0.001)] for name in definition.optimizers}
    assert reckon(definition, workers, paces) == pytest.approx(seconds + BESIDES)


class Asked(InlineExecutor):
    def __init__(self):
        self.configs = []

    def submit(self, fn, /, *args, **kwargs) -> Future:
        self.configs += args
        return super().submit(fn, *args, **kwargs)


def test_real_steps_of_each_optimizer_are_measured_and_no_data_is_needed(definition, project):
    asked = Asked()
    paces = measure(definition, WorkerPool(asked, 1, project / "missing"))
    assert {name: len(measured) for name, measured in paces.items()} == {"sgd": 2, "adam": 2}
    assert all(each.train > each.evaluate > 0 for measured in paces.values() for each in measured)
    assert [config.optimizer.name for config in asked.configs] == ["sgd", "adam"] * 2
    assert [config.model.dropout[0] for config in asked.configs] == [0.125, 0.125, 0.375, 0.375]
    assert list(project.iterdir()) == []
