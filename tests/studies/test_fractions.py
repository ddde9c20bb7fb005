"""A sweep with rungs within epochs is the same for any slices, workers and stops, and counts images exactly."""

import threading
from collections import Counter

import pytest

from harness.config import with_settings
from harness.errors import BadInputError
from harness.slices import train_slice
from studies.definition import SweepDefinition
from studies.executors.pool import open_pool
from studies.progress import SweepObserver
from studies.sweep import run_sweep
from tests.memory_tracker import MemoryTracker

EPOCH = 128  # images, eight steps


@pytest.fixture
def fractions(definition):
    smaller = {"dataset.train_size": EPOCH, "dataset.validation_size": 40, "batch_size": EPOCH // 8}
    changes = {"rungs": (0.25, 0.5, 1), "budget": 4, "base": with_settings(definition.base, smaller)}
    return SweepDefinition.model_validate(definition.model_dump() | changes)


def swept(definition, pool, tracker=None, observer=None, stop=None):
    tracker = tracker or MemoryTracker()
    run_sweep("fractions", definition, tracker, pool, observer, stop)
    return tracker


def numbers(tracker):
    """Return the records of every trial and final, without durations."""
    names = ("stage", "optimizer", "number", "config_hash", "outcome", "state_hash", "images", "images_spent")
    return {
        tuple(run.tags.get(f"harness.{name}") for name in names): (
            sorted(run.rows),
            [
                {name: each[name] for name in each if "/" in name and "seconds" not in name}
                for each in run.history.values()
            ],
        )
        for run in tracker.runs.values()
        if run.tags["harness.stage"] != "sweep"
    }


@pytest.fixture(scope="module")
def expected():
    return {}


@pytest.fixture
def whole(fractions, inline, expected):
    """Return the results of the sweep with slices that end only at epochs and rungs; run once."""
    if not expected:
        inline.slice_seconds = 600
        expected["numbers"] = numbers(swept(fractions, inline))
    return expected["numbers"]


@pytest.mark.long
def test_trials_are_pruned_within_an_epoch_and_the_budget_is_spent_to_the_last_rung(fractions, inline, whole):
    trials = [key for key in whole if key[0] == "trial"]
    assert Counter(key[4] for key in trials) == {"pruned": len(trials) - 2, "completed": 2}
    pruned_after = Counter(int(key[6]) for key in trials if key[4] == "pruned")
    assert pruned_after[EPOCH // 4] > 2
    assert set(pruned_after) <= {EPOCH // 4, EPOCH // 2, EPOCH}
    for name in fractions.optimizers:
        spent = sum(int(key[7]) for key in trials if key[1] == name)
        assert 4 * EPOCH - EPOCH // 4 < spent <= 4 * EPOCH


@pytest.mark.long
def test_slices_of_one_step_give_the_same_results(fractions, inline, whole):
    inline.slice_seconds = 0
    assert numbers(swept(fractions, inline)) == whole


@pytest.mark.long
def test_slices_of_seven_steps_give_the_same_results(fractions, inline, whole, monkeypatch):
    def train(config, state, splits, data_dir, origin, steps, seconds):
        return train_slice(config, state, splits, data_dir, origin, min(steps, 7), 600)

    monkeypatch.setattr("studies.executors.pool.train_slice", train)
    assert numbers(swept(fractions, inline)) == whole


class StopAfter(SweepObserver):
    def __init__(self, slices):
        self.stop = threading.Event()
        self.left = slices

    def trained(self, job, result):
        self.left -= 1
        if self.left == 0:
            self.stop.set()


@pytest.mark.long
@pytest.mark.parametrize("slices", [1, 5, 13])
def test_a_sweep_stopped_many_times_within_epochs_gives_the_same_results(fractions, inline, whole, slices):
    tracker = MemoryTracker()
    inline.slice_seconds = 0
    for _ in range(2):
        observer = StopAfter(slices)
        with pytest.raises(KeyboardInterrupt):
            swept(fractions, inline, tracker, observer, observer.stop)
    inline.slice_seconds = 600
    assert numbers(swept(fractions, inline, tracker)) == whole


@pytest.mark.slow
def test_two_workers_with_slices_of_one_step_give_the_same_results(fractions, data, whole):
    with open_pool("local", 2, data, slice_seconds=0) as pool:
        assert numbers(swept(fractions, pool)) == whole


def test_trials_are_measured_within_epochs_only_at_rungs_and_finals_as_in_the_base(fractions):
    trial = fractions.trial_config("sgd", {})
    assert (trial.trajectory.points, trial.trajectory.every) == ((0.25, 0.5), 1)
    assert fractions.final_config(trial, 1).trajectory == fractions.base.trajectory


def test_rungs_at_whole_epochs_leave_the_config_of_trials_unchanged(definition):
    assert definition.trial_config("sgd", {}).trajectory == definition.base.trajectory


def test_a_first_rung_and_a_factor_equal_a_list_of_rungs(definition):
    changes = {"warm_up": 0.125, "reduction_factor": 2}
    halving = SweepDefinition.model_validate(definition.model_dump() | changes)
    assert halving.pruned_at == (0.125, 0.25, 0.5, 1)
    assert halving.milestones == (0.125, 0.25, 0.5, 1, 2)


@pytest.mark.parametrize("rungs", [(0.5, 0.25), (0.5, 0.5), (0,)])
def test_rungs_that_do_not_grow_are_refused(definition, rungs):
    with pytest.raises((BadInputError, ValueError), match="rungs"):
        SweepDefinition.model_validate(definition.model_dump() | {"rungs": rungs})


def test_rungs_within_an_epoch_need_images_to_measure(definition):
    base = with_settings(definition.base, {"trajectory.images": 0})
    with pytest.raises((BadInputError, ValueError), match=r"and base\.trajectory.images is 0"):
        SweepDefinition.model_validate(definition.model_dump() | {"rungs": (0.5, 1), "base": base.model_dump()})
