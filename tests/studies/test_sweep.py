"""A sweep gives every optimizer the same epochs, selects on validation, and is the same for any number of workers."""

import pytest

from harness.config import RunConfig, with_settings
from harness.errors import BadInputError
from harness.tracking import MemoryTracker
from studies.executors import InlineExecutor, open_executor
from studies.space import Range
from studies.sweep import SweepDefinition, run_sweep


@pytest.fixture
def definition(config: RunConfig) -> SweepDefinition:
    return SweepDefinition(
        base=config,
        optimizers=("sgd", "adam"),
        space={"model.dropout.0": Range(low=0, high=0.5)},
        spaces={name: {"optimizer.lr": Range(low=1e-4, high=1e-1, log=True)} for name in ("sgd", "adam")},
        trials=2,
        trial_epochs=1,
        final_seeds=(1, 2),
        final_epochs=1,
        subset=True,
    )


def test_equal_budgets_no_test_metrics_in_trials_finals_on_the_winners_values(definition, project):
    tracker = MemoryTracker()
    result = run_sweep("tiny", definition, tracker, InlineExecutor(), 1)
    children = [run for run in tracker.runs.values() if run.tags.get("mlflow.parentRunId") == result.sweep_id]
    assert sum(len(run.epochs) for run in children) == definition.total_epochs == 8
    for name, each in result.optimizers.items():
        mine = [run for run in children if run.params["optimizer.name"] == name]
        trials = [run for run in mine if run.tags["harness.stage"] == "trial"]
        finals = [run for run in mine if run.tags["harness.stage"] == "final"]
        assert (len(trials), len(finals), each.epochs_spent) == (2, 2, 2)
        assert all(run.epochs[-1].test_accuracy is None for run in trials)
        winner = max(trials, key=lambda run: run.epochs[-1].validation_accuracy)
        assert each.best["optimizer.lr"] == winner.params["optimizer.lr"]
        assert {run.params["optimizer.lr"] for run in finals} == {winner.params["optimizer.lr"]}
        assert {run.params["seed"] for run in finals} == {1, 2}
        assert each.finals == tuple(run.epochs[-1].test_accuracy for run in finals)
    assert {run.outcome for run in tracker.runs.values()} == {"completed"}


def test_two_workers_find_what_one_finds(definition, project):
    serial = run_sweep("tiny", definition, MemoryTracker(), InlineExecutor(), 1)
    with open_executor("local", 2) as pool:
        parallel = run_sweep("tiny", definition, MemoryTracker(), pool, 2)
    assert parallel.optimizers == serial.optimizers


def test_the_tuning_seed_is_refused_for_finals(definition):
    with pytest.raises(ValueError, match="tuning seed"):
        SweepDefinition.model_validate(definition.model_dump() | {"final_seeds": (0, 1)})


def test_an_unknown_optimizer_is_refused_by_name(definition):
    with pytest.raises((BadInputError, ValueError), match="adamm"):
        SweepDefinition.model_validate(definition.model_dump() | {"optimizers": ("adamm",)})


def test_a_trial_that_fails_ends_the_sweep_and_leaves_no_run_open(definition, project, monkeypatch):
    tracker = MemoryTracker()
    monkeypatch.setattr("studies.sweep.train_slice", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_sweep("tiny", definition, tracker, InlineExecutor(), 1)
    assert {run.outcome for run in tracker.runs.values()} == {"failed"}


def test_a_diverged_trial_ranks_last_and_counts(definition, project):
    base = with_settings(definition.base, {})
    spaces = {name: {"optimizer.lr": Range(low=1e5, high=1e6)} for name in definition.optimizers}
    wild = definition.model_copy(update={"base": base, "spaces": spaces, "optimizers": ("sgd",)})
    space = {"optimizer.weight_decay": Range(low=1.0, high=2.0)}
    result = run_sweep("tiny", wild.model_copy(update={"space": space}), MemoryTracker(), InlineExecutor(), 1)
    assert result.optimizers["sgd"].finals == ()
    assert result.optimizers["sgd"].best is None
