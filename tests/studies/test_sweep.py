"""A sweep gives every optimizer the same epochs, selects on validation, and goes on where it was stopped."""

import threading
from collections import Counter
from dataclasses import replace

import pytest

from harness.config import RunConfig
from harness.data import Split, load_splits
from harness.errors import BadInputError, WorkFailedError
from harness.records import Outcome
from harness.run import load_cached_splits
from harness.tracking import MemoryTracker
from studies.definition import SweepDefinition
from studies.executors import InlineExecutor, WorkerPool, open_pool
from studies.space import Range
from studies.sweep import SilentObserver, run_sweep

INLINE = WorkerPool(InlineExecutor(), 1)


@pytest.fixture
def definition(config: RunConfig) -> SweepDefinition:
    return SweepDefinition(
        base=config,
        optimizers=("sgd", "adam"),
        space={"model.dropout.0": Range(low=0, high=0.5)},
        spaces={name: {"optimizer.lr": Range(low=1e-4, high=1e-1, log=True, start=1e-2)} for name in ("sgd", "adam")},
        trials=2,
        trial_epochs=2,
        final_seeds=(1, 2),
        final_epochs=1,
        subset=True,
    )


@pytest.fixture
def short_test_set(monkeypatch):
    """The first 500 test images, for the sweeps of this process."""

    def load(*arguments):
        splits = load_splits(*arguments)
        return replace(splits, test=Split(splits.test.images[:500], splits.test.labels[:500]))

    monkeypatch.setattr("harness.run.load_splits", load)
    load_cached_splits.cache_clear()
    yield
    load_cached_splits.cache_clear()


class StopAfter(SilentObserver):
    """Asks the sweep to stop once so many epochs are trained."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs
        self.stop = threading.Event()

    def trained(self, job, metrics):
        self.left -= 1
        if self.left == 0:
            self.stop.set()


def numbers(tracker: MemoryTracker) -> dict[tuple[str, ...], list[dict[str, float]]]:
    """Every run's metrics but the durations, by what the run is."""
    names = ("harness.stage", "harness.optimizer", "harness.number", "harness.config_hash", "harness.outcome")
    return {
        tuple(run.tags.get(name, "") for name in names): [
            {name: value for name, value in step.items() if "/" in name and not name.startswith("seconds")}
            for _, step in sorted(run.history.items())
        ]
        for run in tracker.runs.values()
    }


def test_equal_budgets_no_test_metrics_in_trials_finals_on_the_winners_values(definition, project, short_test_set):
    tracker = MemoryTracker()
    result = run_sweep("tiny", definition, tracker, INLINE)
    children = [run for run in tracker.runs.values() if run.tags.get("mlflow.parentRunId") == result.sweep_id]
    assert sum(len(run.history) for run in children) == definition.total_epochs == 12
    for name, each in result.optimizers.items():
        mine = [run for run in children if run.params["optimizer.name"] == name]
        trials = [run for run in mine if run.tags["harness.stage"] == "trial"]
        finals = [run for run in mine if run.tags["harness.stage"] == "final"]
        assert (len(trials), len(finals), each.epochs_spent) == (2, 2, 4)
        assert not any("test/accuracy" in step for run in trials for step in run.history.values())
        winner = max(trials, key=lambda run: run.history[2]["validation/accuracy"])
        assert each.best["optimizer.lr"] == winner.params["optimizer.lr"]
        assert {run.params["optimizer.lr"] for run in finals} == {winner.params["optimizer.lr"]}
        assert {run.params["seed"] for run in finals} == {1, 2}
        assert each.finals == tuple(run.history[1]["test/accuracy"] for run in finals)
    assert {run.outcome for run in tracker.runs.values()} == {"completed"}


def test_a_study_begins_at_the_published_starting_point(definition, project, short_test_set):
    tracker = MemoryTracker()
    run_sweep("tiny", definition, tracker, INLINE)
    first = [run for run in tracker.runs.values() if run.tags.get("harness.number") == "0"]
    assert [run.params["optimizer.lr"] for run in first] == [1e-2, 1e-2]
    assert all(run.params["model.dropout.0"] != 0.1 for run in first)


def test_two_workers_find_what_one_finds(definition, project):
    serial, parallel = MemoryTracker(), MemoryTracker()
    run_sweep("tiny", definition, serial, INLINE)
    with open_pool("local", 2) as pool:
        run_sweep("tiny", definition, parallel, pool)
    assert numbers(parallel) == numbers(serial)


@pytest.mark.parametrize("epochs", [1, 3, 9, 10])
def test_a_stopped_sweep_goes_on_to_the_end_of_an_undisturbed_one(definition, project, short_test_set, epochs):
    undisturbed, disturbed = MemoryTracker(), MemoryTracker()
    run_sweep("tiny", definition, undisturbed, INLINE)
    observer = StopAfter(epochs)
    with pytest.raises(KeyboardInterrupt):
        run_sweep("tiny", definition, disturbed, INLINE, observer, observer.stop)
    assert Outcome.KILLED in {run.outcome for run in disturbed.runs.values()}
    assert None not in {run.outcome for run in disturbed.runs.values()}
    run_sweep("tiny", definition, disturbed, INLINE)
    assert numbers(disturbed) == numbers(undisturbed)


def test_a_sweep_that_has_ended_does_nothing_unless_more_trials_are_asked_for(definition, project, short_test_set):
    tracker = MemoryTracker()
    first = run_sweep("tiny", definition, tracker, INLINE)
    runs = len(tracker.runs)
    assert run_sweep("tiny", definition, tracker, INLINE) == first
    assert len(tracker.runs) == runs
    more = run_sweep("tiny", definition.model_copy(update={"trials": 3}), tracker, INLINE)
    stages = Counter(run.tags["harness.stage"] for run in tracker.runs.values())
    assert more.sweep_id == first.sweep_id
    assert [each.trials for each in more.optimizers.values()] == [3, 3]
    assert stages["trial"] == 6
    again = run_sweep("tiny", definition, tracker, INLINE, fresh=True)
    assert again.sweep_id != first.sweep_id
    assert again.optimizers == first.optimizers


def test_going_on_under_another_definition_is_refused_by_the_fields_name(definition, project, short_test_set):
    tracker = MemoryTracker()
    observer = StopAfter(1)
    with pytest.raises(KeyboardInterrupt):
        run_sweep("tiny", definition, tracker, INLINE, observer, observer.stop)
    with pytest.raises(BadInputError, match=r"trial_epochs was 2, now 3.*--fresh"):
        run_sweep("tiny", definition.model_copy(update={"trial_epochs": 3}), tracker, INLINE)


def test_a_second_coordinator_is_refused_with_the_firsts_process(definition, project, short_test_set):
    tracker = MemoryTracker()

    class Second(SilentObserver):
        def trained(self, job, metrics):
            run_sweep("tiny", definition, tracker, INLINE)

    with pytest.raises(BadInputError, match=r"being run by process \d+ on "):
        run_sweep("tiny", definition, tracker, INLINE, Second())


def test_the_tuning_seed_is_refused_for_finals(definition):
    with pytest.raises(ValueError, match="tuning seed"):
        SweepDefinition.model_validate(definition.model_dump() | {"final_seeds": (0, 1)})


def test_an_unknown_optimizer_is_refused_by_name(definition):
    with pytest.raises((BadInputError, ValueError), match="adamm"):
        SweepDefinition.model_validate(definition.model_dump() | {"optimizers": ("adamm",)})


def test_a_slice_that_fails_ends_the_sweep_and_names_the_run(definition, project, short_test_set, monkeypatch):
    tracker = MemoryTracker()
    monkeypatch.setattr("studies.executors.train_slice", lambda *_: 1 / 0)
    with pytest.raises(WorkFailedError, match="trial 0 of sgd failed, ZeroDivisionError") as caught:
        run_sweep("tiny", definition, tracker, INLINE)
    assert tracker.runs[caught.value.run_id].outcome == "failed"
    assert {run.outcome for run in tracker.runs.values()} == {"failed"}


def test_a_diverged_trial_ranks_last_and_counts(definition, project, short_test_set):
    wild = definition.model_copy(
        update={
            "optimizers": ("sgd",),
            "spaces": {"sgd": {"optimizer.lr": Range(low=1e5, high=1e6)}},
            "space": {"optimizer.weight_decay": Range(low=1.0, high=2.0)},
        }
    )
    result = run_sweep("tiny", wild, MemoryTracker(), INLINE).optimizers["sgd"]
    assert (result.trials, result.finals, result.best) == (2, (), None)
