"""A long simulated sweep has the same results with any number of workers and any number of stops."""

import contextlib
import random
import threading
from concurrent.futures import Future

import pytest

from harness.config import RunConfig, with_settings
from harness.records import Tag
from studies.definition import SweepDefinition
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool
from studies.progress import SweepObserver
from studies.search import sampling
from studies.space import Choice, Range
from studies.sweep import run_sweep
from tests.benchmarks.scale import NullWorkers, null_slice
from tests.memory_tracker import MemoryTracker
from tests.metrics import sweep_numbers


class Inline(InlineExecutor):
    """An executor that simulates training, in slices of the allowed length or of a random smaller one."""

    def __init__(self, cut: random.Random | None = None) -> None:
        self.cut = cut

    def submit(self, fn, *what) -> Future:
        *before, steps, seconds = what
        return super().submit(null_slice, *before, min(steps, self.cut.randint(1, 9)) if self.cut else steps, seconds)


@pytest.fixture
def definition(of_convnet: RunConfig, monkeypatch) -> SweepDefinition:
    monkeypatch.setattr(sampling, "LATEST", 10)
    monkeypatch.setattr(sampling, "STEP", 10)
    return SweepDefinition(
        base=of_convnet,
        optimizers=("sgd", "adam"),
        space={"model.dropout.0": Range(low=0, high=0.5)},
        spaces={name: {"optimizer.lr": Range(low=1e-4, high=1e-1, log=True, start=1e-2)} for name in ("sgd", "adam")},
        budget=60,
        trial_epochs=3,
        at_once=4,
        final_seeds=(1,),
        final_epochs=1,
        subset=True,
    )


def runs(tracker: MemoryTracker) -> dict[tuple[str, ...], tuple[object, ...]]:
    names = (Tag.STAGE, Tag.OPTIMIZER, Tag.NUMBER, Tag.CONFIG_HASH)
    return {
        tuple(run.tags.get(name, "") for name in names): (run.outcome, len(run.history))
        for run in tracker.runs.values()
    }


class StopEvery(SweepObserver):
    """An observer that stops the sweep again and again, each time after a number of slices."""

    def __init__(self, slices: int) -> None:
        self.slices = slices

    def trained(self, job, result):
        self.left -= 1
        if self.left == 0:
            self.stop.set()

    def begin(self) -> threading.Event:
        self.left, self.stop = self.slices, threading.Event()
        return self.stop


ODD = {
    "an epoch of one step": {"rungs": (0.7, 1), "sizes": (80, 7)},
    "rungs at one step": {"rungs": (0.05, 0.1, 0.25), "sizes": (32, 40)},
    "rungs after the first epoch": {"rungs": (0.3, 1.25, 2.5), "sizes": (7, 16), "reduction_factor": 3},
    "asynchronous": {"rungs": (0.125, 0.5, 1.5), "sizes": (7, 32), "asynchronous": True},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_slices_and_stops_change_nothing_for_any_rungs_and_batch_sizes(definition, project, changes):
    base = with_settings(definition.base, {"dataset.train_size": 80, "dataset.validation_size": 20})
    space = {"batch_size": Choice(choices=changes["sizes"])}
    more = {name: each for name, each in changes.items() if name != "sizes"} | {"budget": 7, "space": space}
    definition = SweepDefinition.model_validate(definition.model_dump() | {"base": base} | more)
    whole, cut, observer = MemoryTracker(), MemoryTracker(), StopEvery(11)
    result = run_sweep("null", definition, whole, WorkerPool(Inline(), 1))
    for each in result.optimizers.values():
        assert 7 - min(definition.milestones) < each.epochs_spent < 7 + 1  # a rung is a batch at least
    done = False
    while not done:
        with contextlib.suppress(KeyboardInterrupt):
            run_sweep("null", definition, cut, WorkerPool(Inline(random.Random(0)), 1), observer, observer.begin())
            done = True
    assert sweep_numbers(cut) == sweep_numbers(whole)


@pytest.mark.slow
def test_many_workers_and_many_stops_change_nothing(definition, project):
    alone, together, stopped = MemoryTracker(), MemoryTracker(), MemoryTracker()
    result = run_sweep("null", definition, alone, WorkerPool(Inline(), 1))
    assert min(each.trials for each in result.optimizers.values()) > 25
    with NullWorkers(16) as workers:
        run_sweep("null", definition, together, WorkerPool(workers, 16))
        observer, done = StopEvery(17), False
        while not done:
            with contextlib.suppress(KeyboardInterrupt):
                run_sweep("null", definition, stopped, WorkerPool(workers, 16), observer, observer.begin())
                done = True
    assert runs(together) == runs(alone)
    assert runs(stopped) == runs(alone)


@pytest.mark.long
def test_asynchronously_the_budget_is_exact_with_many_workers_and_many_stops(definition, project):
    tracker, done = MemoryTracker(), False
    definition = definition.model_copy(update={"asynchronous": True})
    with NullWorkers(16) as workers:
        observer = StopEvery(17)
        while not done:
            with contextlib.suppress(KeyboardInterrupt):
                result = run_sweep("null", definition, tracker, WorkerPool(workers, 16), observer, observer.begin())
                done = True
    assert [each.epochs_spent for each in result.optimizers.values()] == [60, 60]
    trials = [run for run in tracker.runs.values() if run.tags[Tag.STAGE] == "trial"]
    assert sum(len(run.history) for run in trials) == 120
