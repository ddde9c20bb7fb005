"""A sweep gives every optimizer the same epochs, selects on validation, and resumes where it was stopped."""

import itertools
import json
import multiprocessing
import os
import signal
import statistics
import threading
from collections import Counter
from concurrent.futures import BrokenExecutor
from dataclasses import replace

import pytest

from harness.config import with_settings
from harness.errors import BadInputError, BusyError, WorkFailedError
from harness.records import (
    CONFUSION_ARTIFACT,
    DEFINITION_ARTIFACT,
    MISTAKES_ARTIFACT,
    POINT_ACCURACY,
    Divergence,
    Outcome,
    Tag,
)
from harness.run import train_slice
from studies.definition import SweepDefinition
from studies.executors.pool import open_pool
from studies.forecast import forecast
from studies.progress import SweepObserver
from studies.space import Choice, Range
from studies.sweep import run_sweep
from tests.memory_tracker import MemoryTracker
from tests.metrics import sweep_numbers


@pytest.fixture
def definition(definition):
    """On half as many images, in epochs of eight steps, and measured within them twice."""
    smaller = {"dataset.train_size": 128, "dataset.validation_size": 80, "batch_size": 16, "trajectory.every": 1}
    return definition.model_copy(update={"base": with_settings(definition.base, smaller)})


class StopAfter(SweepObserver):
    """An observer that stops the sweep after a number of slices (of epochs, if slices are whole epochs)."""

    def __init__(self, slices: int) -> None:
        self.left = slices
        self.stop = threading.Event()

    def trained(self, job, result):
        self.left -= 1
        if self.left == 0:
            self.stop.set()


@pytest.fixture(scope="module")
def sweeps():
    return {}


@pytest.fixture
def undisturbed(definition, inline, sweeps):
    """The sweep as it ends when nobody stops it, and where it was tracked, for those that only read; run once."""
    if not sweeps:
        tracker = MemoryTracker()
        sweeps["result"] = run_sweep("tiny", definition, tracker, inline), tracker
    return sweeps["result"]


def test_budgets_are_equal_trials_have_no_test_metrics_and_finals_use_the_winners_values(definition, undisturbed):
    result, tracker = undisturbed
    children = [run for run in tracker.runs.values() if run.tags.get("mlflow.parentRunId") == result.sweep_id]
    assert sum(len(run.history) for run in children) == definition.total_epochs == 16
    for name, each in result.optimizers.items():
        mine = [run for run in children if run.params["optimizer.name"] == name]
        trials = [run for run in mine if run.tags["harness.stage"] == "trial"]
        finals = [run for run in mine if run.tags["harness.stage"] == "final"]
        assert (sum(len(run.history) for run in trials), each.epochs_spent, len(finals)) == (6, 6, 2)
        assert Counter(run.outcome for run in trials) == each.outcomes
        assert len(trials) == each.trials >= 3
        assert not any("test/accuracy" in step for run in trials for step in run.history.values())
        assert {each.use for run in trials for each in run.inputs} == {"training", "validation"}
        assert {tuple(each.use for each in run.inputs) for run in finals} == {("training", "validation", "testing")}
        completed = [run for run in trials if run.outcome == "completed"]
        winner = max(completed, key=lambda run: run.history[2]["validation/accuracy"])
        assert each.best["optimizer.lr"] == winner.params["optimizer.lr"]
        assert {run.params["optimizer.lr"] for run in finals} == {winner.params["optimizer.lr"]}
        assert {run.params["seed"] for run in finals} == {1, 2}
        assert each.finals == tuple(run.history[1]["test/accuracy"] for run in finals)
    assert [each.use for each in tracker.runs[result.sweep_id].inputs] == ["training", "validation", "testing"]
    assert {run.outcome for run in tracker.runs.values()} <= {"completed", "pruned"}


def diverged(after, step=0, split="train"):
    """Return a slice that diverges at its first step, at a later step, or when its epoch is measured."""
    return replace(after, step=step, metrics=None, divergence=Divergence(epoch=1, step=step, split=split))


def validating(accuracies):
    """Return `train_slice` with the validation accuracy replaced by the given one for optimizer and seed."""

    def train(config, *arguments):
        after = train_slice(config, *arguments)
        accuracy = accuracies.get((config.optimizer.name, config.seed), 0.5)
        return replace(after, metrics=after.metrics.model_copy(update={"validation_accuracy": accuracy}))

    return train


@pytest.mark.long
@pytest.mark.parametrize("best", ["sgd", "adam"])
def test_the_sweeps_model_is_the_first_final_of_the_optimizer_whose_finals_validated_best(
    definition, inline, monkeypatch, best
):
    other = {"sgd": "adam", "adam": "sgd"}[best]
    lucky = {(other, definition.base.seed): 0.9, (other, 1): 0.6, (other, 2): 0.6, (best, 1): 0.5, (best, 2): 0.8}
    monkeypatch.setattr("studies.executors.pool.train_slice", validating(lucky))
    tracker = MemoryTracker()
    result = run_sweep("tiny", definition, tracker, inline)
    (model,) = {(run_id, run.trained_by) for run_id, run in tracker.runs.items() if run.trained_by}
    assert model[0] == result.sweep_id
    trained_by = tracker.runs[model[1]].tags
    assert [trained_by[f"harness.{tag}"] for tag in ("stage", "optimizer", "number")] == ["final", best, "1"]


@pytest.mark.long
def test_the_sweeps_model_is_of_an_optimizer_whose_finals_all_completed_where_there_is_one(
    definition, inline, monkeypatch
):
    train_well = validating({("adam", 1): 0.9})

    def train(config, *arguments):
        if (config.optimizer.name, config.seed) == ("adam", 2):
            return diverged(train_slice(config, *arguments))
        return train_well(config, *arguments)

    monkeypatch.setattr("studies.executors.pool.train_slice", train)
    tracker = MemoryTracker()
    result = run_sweep("tiny", definition, tracker, inline)
    assert tracker.runs[tracker.runs[result.sweep_id].trained_by].tags["harness.optimizer"] == "sgd"


def test_every_final_has_its_mistakes_with_a_picture_and_no_trial_has_any(undisturbed):
    _, tracker = undisturbed
    with_mistakes = [run for run in tracker.runs.values() if MISTAKES_ARTIFACT in run.artifacts]
    assert [run.tags["harness.stage"] for run in with_mistakes] == ["final"] * 4
    assert [run for run in tracker.runs.values() if CONFUSION_ARTIFACT in run.artifacts] == with_mistakes
    for run in with_mistakes:
        confusion = json.loads(run.artifacts[MISTAKES_ARTIFACT])["confusion"]
        right = sum(row[label] for label, row in enumerate(confusion))
        assert right / sum(map(sum, confusion)) == run.history[1]["test/accuracy"]


def curves(run):
    """Return the steps and values of the metrics of a run whose steps count a budget."""
    found = {}
    for row in run.rows:
        found.setdefault(row.name, []).append((row.step, row.value))
    return found


def test_the_sweeps_run_shows_its_results_as_curves_against_the_budget(definition, undisturbed):
    result, tracker = undisturbed
    found = curves(tracker.runs[result.sweep_id])
    size = definition.base.dataset.train_size
    for name, of in result.optimizers.items():
        best, finals = found[f"best_validation_accuracy/{name}"], found[f"final_test_accuracy/{name}"]
        assert best == sorted(best)
        assert best[-1][0] == of.epochs_spent * size
        searched = definition.budget * size
        one = definition.final_epochs * size
        assert finals == [
            (searched + one, of.finals[0]),
            (searched + 2 * one, pytest.approx(statistics.mean(of.finals))),
        ]


@pytest.mark.long
def test_a_resumed_sweep_extends_its_curves_and_repeats_no_point(definition, inline):
    tracker = MemoryTracker()  # which takes no value twice
    begun = run_sweep("tiny", definition, tracker, inline)
    before = curves(tracker.runs[begun.sweep_id])
    run_sweep("tiny", definition.model_copy(update={"budget": definition.budget + 4}), tracker, inline)
    after = curves(tracker.runs[begun.sweep_id])
    assert after.keys() == before.keys()
    for name, values in after.items():
        assert values[: len(before[name])] == before[name]
        assert len(values) > len(before[name])
        assert [step for step, _ in values] == sorted({step for step, _ in values})


@pytest.mark.long
def test_a_pruned_trial_was_not_in_the_better_half_at_its_rung(definition, inline):
    tracker = MemoryTracker()
    run_sweep("tiny", definition.model_copy(update={"budget": 12}), tracker, inline)
    trials = [run for run in tracker.runs.values() if run.tags["harness.stage"] == "trial"]
    last = {run.tags["harness.optimizer"]: int(run.tags["harness.number"]) for run in trials}
    pruned = [run for run in trials if run.outcome == "pruned"]
    assert len(pruned) > 2
    for run in pruned:
        number = int(run.tags["harness.number"])
        if number == last[run.tags["harness.optimizer"]]:
            continue  # the budget may have ended it
        until_then = [
            other.history[1]["validation/accuracy"]
            for other in trials
            if other.tags["harness.optimizer"] == run.tags["harness.optimizer"]
            and int(other.tags["harness.number"]) <= number
        ]
        assert run.history[1]["validation/accuracy"] <= statistics.median(until_then)


RUNGS = (0.125, 0.5)  # after 1 and 4 of an epoch's 8 steps of 16 images


@pytest.mark.long
def test_a_trial_pruned_within_an_epoch_was_not_in_the_better_half_there_and_spent_no_more(definition, inline):
    tracker, changes = MemoryTracker(), {"rungs": RUNGS, "at_once": 4, "optimizers": ("sgd",)}
    result = run_sweep("tiny", definition.model_copy(update=changes), tracker, inline).optimizers["sgd"]
    runs = [run for run in tracker.runs.values() if run.tags[Tag.STAGE] == "trial"]
    trials = {int(run.tags[Tag.NUMBER]): run for run in runs}
    images = {number: int(run.tags[Tag.IMAGES]) for number, run in trials.items()}
    assert images == {number: int(run.tags[Tag.SPENT]) for number, run in trials.items()}
    assert result.epochs_spent == sum(images.values()) / 128 <= 6
    assert len(trials) > 4
    at_the_rung = {number: dict(points_of(trials[number]))[16] for number in range(4)}  # of the first round
    pruned = [number for number in at_the_rung if images[number] == 16]
    assert len(pruned) in (1, 2)  # equal ones go on together
    assert max(at_the_rung[number] for number in pruned) < min(at_the_rung[each] for each in {*range(4)} - {*pruned})
    for number, run in trials.items():
        assert (run.outcome == "completed") == (images[number] == 256)
        assert points_of(run)[-1][0] == images[number]


def points_of(run):
    return [(row.step, row.value) for row in run.rows if row.name == POINT_ACCURACY]


@pytest.mark.long
def test_the_study_that_has_begun_the_fewest_epochs_asks_next(definition, inline):
    tracker = MemoryTracker()
    spent = Counter()

    class Fair(SweepObserver):
        def started(self, job):
            if job.stage == "trial":
                assert spent[job.optimizer] == min(spent["sgd"], spent["adam"])

        def trained(self, job, result):
            spent[job.optimizer] += job.stage == "trial"

    run_sweep("tiny", definition, tracker, inline, Fair())
    assert spent == {"sgd": 6, "adam": 6}


def test_a_study_begins_at_the_published_starting_point(undisturbed):
    _, tracker = undisturbed
    first = [run for run in tracker.runs.values() if run.tags.get("harness.number") == "0"]
    assert [run.params["optimizer.lr"] for run in first] == [1e-2, 1e-2]
    assert all(run.params["model.dropout"] != 0.1 for run in first)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 3])
def test_two_workers_give_the_same_results_as_one(definition, inline, data, at_once):
    definition = definition.model_copy(update={"at_once": at_once})
    serial, parallel = MemoryTracker(), MemoryTracker()
    run_sweep("tiny", definition, serial, inline)
    with open_pool("local", 2, data) as pool:
        run_sweep("tiny", definition, parallel, pool)
    assert sweep_numbers(parallel) == sweep_numbers(serial)


@pytest.mark.slow
def test_asynchronously_one_study_keeps_two_workers_busy_within_the_exact_budget(definition, data):
    definition = definition.model_copy(update={"asynchronous": True, "optimizers": ("adam",), "budget": 9})
    tracker = MemoryTracker()
    at_a_time = []

    class Counting(SweepObserver):
        running = 0

        def started(self, job):
            self.running += 1
            at_a_time.append(self.running)

        def ended(self, job):
            self.running -= 1

    with open_pool("local", 2, data) as pool:
        result = run_sweep("tiny", definition, tracker, pool, Counting()).optimizers["adam"]
    assert max(at_a_time) >= 2
    assert result.epochs_spent == 9
    trials = [run for run in tracker.runs.values() if run.tags["harness.stage"] == "trial"]
    assert sum(len(run.history) for run in trials) == 9


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_stopped_and_resumed_sweep_ends_like_an_undisturbed_one(definition, inline, at_once):
    definition = definition.model_copy(update={"at_once": at_once})
    undisturbed = MemoryTracker()
    run_sweep("tiny", definition, undisturbed, inline)
    for stops in ((7,), (1, 1, 2, 3, 5, 1)):
        disturbed = MemoryTracker()
        for slices in stops:
            observer = StopAfter(slices)
            with pytest.raises(KeyboardInterrupt):
                run_sweep("tiny", definition, disturbed, inline, observer, observer.stop)
            assert Outcome.KILLED in {run.outcome for run in disturbed.runs.values()}
            assert None not in {run.outcome for run in disturbed.runs.values()}
        run_sweep("tiny", definition, disturbed, inline)
        assert sweep_numbers(disturbed) == sweep_numbers(undisturbed), stops


@pytest.mark.long
@pytest.mark.parametrize("left", [0, 1])
def test_a_sweep_killed_while_it_discards_a_trials_checkpoints_can_be_resumed(
    definition, inline, undisturbed, monkeypatch, left
):
    disturbed, observer = MemoryTracker(), StopAfter(4)

    def cut_off(folder):
        paths = sorted(folder.glob("*.checkpoint"))
        for path in paths[: len(paths) - left]:
            path.unlink()

    with monkeypatch.context() as patched:
        patched.setattr("studies.jobs.discard", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run_sweep("tiny", definition, disturbed, inline, observer, observer.stop)
    run_sweep("tiny", definition, disturbed, inline)
    assert sweep_numbers(disturbed) == sweep_numbers(undisturbed[1])


@pytest.mark.long
def test_a_sweep_that_has_ended_does_nothing_unless_more_budget_is_asked_for(definition, inline):
    tracker = MemoryTracker()
    first = run_sweep("tiny", definition, tracker, inline)
    runs = len(tracker.runs)
    assert run_sweep("tiny", definition, tracker, inline) == first
    assert len(tracker.runs) == runs
    more = run_sweep("tiny", definition.model_copy(update={"budget": 10}), tracker, inline)
    trials = [run for run in tracker.runs.values() if run.tags["harness.stage"] == "trial"]
    assert more.sweep_id == first.sweep_id
    assert [each.epochs_spent for each in more.optimizers.values()] == [10, 10]
    assert sum(len(run.history) for run in trials) == 20
    finals = [run for run in tracker.runs.values() if run.tags["harness.stage"] == "final"]
    current = [run for run in finals if run.tags["harness.superseded"] == "false"]
    assert len(finals) > len(current) == 4, "a better winner was found"
    for name, each in more.optimizers.items():
        of_winner = {run.params["optimizer.lr"] for run in current if run.tags["harness.optimizer"] == name}
        assert of_winner == {each.best["optimizer.lr"]}
    assert run_sweep("tiny", definition, tracker, inline) == more  # less adds nothing and takes nothing back
    again = run_sweep("tiny", definition, tracker, inline, fresh=True)
    assert again.sweep_id != first.sweep_id
    assert again.optimizers == first.optimizers


def test_resuming_with_another_definition_is_refused_by_the_fields_name(definition, inline):
    tracker = MemoryTracker()
    observer = StopAfter(1)
    with pytest.raises(KeyboardInterrupt):
        run_sweep("tiny", definition, tracker, inline, observer, observer.stop)
    with pytest.raises(BadInputError, match=r"trial_epochs was 2, now 3.*use `fresh`"):
        run_sweep("tiny", definition.model_copy(update={"trial_epochs": 3}), tracker, inline)


@pytest.mark.long
def test_a_sweep_older_than_a_field_can_be_resumed(definition, inline):
    tracker = MemoryTracker()
    observer = StopAfter(1)
    with pytest.raises(KeyboardInterrupt):
        run_sweep("tiny", definition, tracker, inline, observer, observer.stop)
    sweep_id, sweep = next((key, run) for key, run in tracker.runs.items() if run.tags["harness.stage"] == "sweep")
    stored = json.loads(sweep.artifacts[DEFINITION_ARTIFACT])
    del stored["base"]["fused"]
    sweep.artifacts[DEFINITION_ARTIFACT] = json.dumps(stored).encode()
    assert run_sweep("tiny", definition, tracker, inline).sweep_id == sweep_id


def test_a_second_coordinator_is_refused_with_the_firsts_process(definition, inline):
    tracker = MemoryTracker()

    class Second(SweepObserver):
        def trained(self, job, result):
            run_sweep("tiny", definition, tracker, inline)

    with pytest.raises(BusyError, match=r"being run by process \d+ on "):
        run_sweep("tiny", definition, tracker, inline, Second())


def test_the_tuning_seed_is_refused_for_finals(definition):
    with pytest.raises(ValueError, match="tuning seed"):
        SweepDefinition.model_validate(definition.model_dump() | {"final_seeds": (0, 1)})


def test_more_threads_than_the_environment_allows_are_refused_before_anything_is_begun(
    definition, inline, monkeypatch
):
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    tracker = MemoryTracker()
    more = definition.model_copy(update={"base": with_settings(definition.base, {"threads": 2})})
    for refused in (lambda: run_sweep("tiny", more, tracker, inline), lambda: forecast(more, inline)):
        with pytest.raises(BadInputError, match="threads 2 is more than OMP_THREAD_LIMIT, which is 1"):
            refused()
    assert tracker.runs == {}


def test_searched_threads_of_which_one_is_more_than_the_environment_allows_are_refused(
    definition, inline, monkeypatch
):
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    tracker = MemoryTracker()
    more = definition.model_copy(update={"space": {"threads": Choice(choices=(2, 1))}})
    assert more.example("sgd").threads == 1
    with pytest.raises(BadInputError, match="threads 2 is more than OMP_THREAD_LIMIT, which is 1"):
        run_sweep("tiny", more, tracker, inline)
    assert tracker.runs == {}


def test_an_unknown_optimizer_is_refused_by_name(definition):
    with pytest.raises((BadInputError, ValueError), match="adamm"):
        SweepDefinition.model_validate(definition.model_dump() | {"optimizers": ("adamm",)})


def failing(numbers: set[int], error: Exception):
    """Return a training function that raises at these calls."""
    calls = itertools.count()

    def train(*arguments):
        if next(calls) in numbers:
            raise error
        return train_slice(*arguments)

    return train


@pytest.mark.long
def test_a_failed_trial_counts_against_the_budget_ranks_last_and_the_sweep_continues(definition, inline, monkeypatch):
    tracker = MemoryTracker()
    monkeypatch.setattr("studies.executors.pool.train_slice", failing({0, 4}, ZeroDivisionError("once")))
    result = run_sweep("tiny", definition, tracker, inline).optimizers
    assert sum(each.outcomes.get(Outcome.FAILED, 0) for each in result.values()) == 2
    assert [each.epochs_spent for each in result.values()] == [6, 6]
    failed = [run for run in tracker.runs.values() if run.outcome == "failed"]
    assert {run.tags["harness.error"] for run in failed} == {"ZeroDivisionError: once"}
    assert [len(each.finals) for each in result.values()] == [2, 2]


def test_three_failures_in_a_row_for_one_cause_stop_the_sweep_and_name_it(definition, inline, monkeypatch):
    tracker = MemoryTracker()
    monkeypatch.setattr("studies.executors.pool.train_slice", failing(set(range(2, 99)), ZeroDivisionError("always")))
    with pytest.raises(WorkFailedError, match=r"3 trials in a row .* the same cause, ZeroDivisionError: always"):
        run_sweep("tiny", definition, tracker, inline)
    assert Counter(run.outcome for run in tracker.runs.values())["failed"] == 3 + 1  # and the sweep


@pytest.mark.long
def test_a_final_that_fails_is_tried_once_more_with_a_warning(definition, inline, undisturbed, monkeypatch, caplog):
    tracker = MemoryTracker()
    monkeypatch.setattr("studies.executors.pool.train_slice", failing({12}, ZeroDivisionError("a\nfinal")))
    run_sweep("tiny", definition, tracker, inline)
    assert sweep_numbers(tracker) == sweep_numbers(undisturbed[1])
    assert "harness: final 1 of sgd failed, ZeroDivisionError: a final; it is retried once" in caplog.messages


class Failing:
    """Return a training function that raises in every final of seed 1 and nowhere else."""

    def __init__(self) -> None:
        self.raised = 0

    def __call__(self, config, *arguments):
        if config.seed == 1:
            self.raised += 1
            raise ZeroDivisionError("always")
        return train_slice(config, *arguments)


@pytest.mark.long
def test_a_final_that_fails_again_is_left_out_like_a_diverged_one(definition, inline, monkeypatch, caplog):
    tracker, training = MemoryTracker(), Failing()
    monkeypatch.setattr("studies.executors.pool.train_slice", training)
    result = run_sweep("tiny", definition, tracker, inline)
    assert [len(each.finals) for each in result.optimizers.values()] == [1, 1]
    failed = [run for run in tracker.runs.values() if run.outcome == "failed"]
    assert [(run.tags["harness.stage"], run.tags["harness.number"]) for run in failed] == [("final", "1")] * 2
    assert {run.tags["harness.error"] for run in failed} == {"ZeroDivisionError: always"}
    assert tracker.runs[result.sweep_id].outcome == "completed"
    assert training.raised == 2 * 2
    assert len([message for message in caplog.messages if "it is left out" in message]) == 2
    assert run_sweep("tiny", definition, tracker, inline) == result
    run_sweep("tiny", definition.model_copy(update={"budget": 7}), tracker, inline)
    assert training.raised == 2 * 2, "an ended sweep does not try it again, with the same winner"


@pytest.mark.long
def test_a_resumed_sweep_does_not_retry_a_final_that_was_left_out(definition, inline, monkeypatch):
    tracker, training, observer = MemoryTracker(), Failing(), StopAfter(13)
    monkeypatch.setattr("studies.executors.pool.train_slice", training)
    with pytest.raises(KeyboardInterrupt):
        run_sweep("tiny", definition, tracker, inline, observer, observer.stop)
    assert training.raised == 2 * 2
    run_sweep("tiny", definition, tracker, inline)
    assert training.raised == 2 * 2


@pytest.mark.long
def test_a_final_that_failed_with_its_sweep_is_resumed_with_it(definition, inline, monkeypatch):
    tracker = MemoryTracker()
    monkeypatch.setattr("studies.executors.pool.train_slice", failing({12, 13, 14}, BrokenExecutor("it was killed")))
    with pytest.raises(WorkFailedError, match="workers died 3 times"):
        run_sweep("tiny", definition, tracker, inline)
    (final,) = [run for run in tracker.runs.values() if run.tags["harness.stage"] == "final"]
    assert final.outcome == "failed"
    assert [len(each.finals) for each in run_sweep("tiny", definition, tracker, inline).optimizers.values()] == [2, 2]


def test_a_diverged_trial_ranks_last_and_counts_against_the_budget(definition, inline):
    wild = definition.model_copy(
        update={
            "optimizers": ("sgd",),
            "spaces": {"sgd": {"optimizer.lr": Range(low=1e5, high=1e6)}},
            "space": {"optimizer.weight_decay": Range(low=1.0, high=2.0)},
        }
    )
    result = run_sweep("tiny", wild, MemoryTracker(), inline).optimizers["sgd"]
    assert (result.trials, result.epochs_spent, result.finals, result.best) == (6, 6, (), None)
    assert result.outcomes == {Outcome.DIVERGED: 6}


@pytest.mark.parametrize(("step", "split"), [(0, "train"), (3, "train"), (7, "train"), (8, "validation")])
def test_a_trial_that_diverges_anywhere_in_an_epoch_has_spent_that_epoch(
    definition, inline, monkeypatch, step, split
):
    def diverge(*arguments):
        return diverged(train_slice(*arguments), step, split)

    monkeypatch.setattr("studies.executors.pool.train_slice", diverge)
    tracker, changes = MemoryTracker(), {"optimizers": ("sgd",), "budget": 3}
    result = run_sweep("tiny", definition.model_copy(update=changes), tracker, inline).optimizers["sgd"]
    assert (result.outcomes, result.epochs_spent) == ({Outcome.DIVERGED: 3}, 3)
    trials = [run for run in tracker.runs.values() if run.tags[Tag.STAGE] == "trial"]
    images = min(128, (step + 1) * 16)
    assert {(run.tags[Tag.IMAGES], run.tags[Tag.SPENT]) for run in trials} == {(str(images), "128")}


def diverging_with_seed_1(config, *arguments):
    after = train_slice(config, *arguments)
    return diverged(after) if config.seed == 1 else after


@pytest.mark.long
def test_a_diverged_final_still_belongs_to_its_winner(definition, inline, monkeypatch):
    tracker = MemoryTracker()
    monkeypatch.setattr("studies.executors.pool.train_slice", diverging_with_seed_1)
    result = run_sweep("tiny", definition, tracker, inline)
    assert [len(each.finals) for each in result.optimizers.values()] == [1, 1]
    finals = [run for run in tracker.runs.values() if run.tags["harness.stage"] == "final"]
    assert Counter(run.outcome for run in finals) == {"diverged": 2, "completed": 2}
    assert {run.tags["harness.superseded"] for run in finals} == {"false"}
    assert tracker.runs[tracker.runs[result.sweep_id].trained_by].outcome == "completed"


@pytest.mark.long
def test_variants_of_one_optimizer_are_studies_of_their_own(definition, inline):
    variants = {name: {"optimizer.name": "adam", "model.activation": name} for name in ("relu", "tanh")}
    compared = definition.model_copy(
        update={"optimizers": ("relu", "tanh"), "variants": variants, "spaces": {}, "budget": 2}
    )
    tracker = MemoryTracker()
    result = run_sweep("tiny", compared, tracker, inline)
    assert result.optimizers.keys() == {"relu", "tanh"}
    children = [run for run in tracker.runs.values() if run.tags["harness.stage"] != "sweep"]
    assert {(run.tags["harness.optimizer"], run.params["model.activation"]) for run in children} == {
        ("relu", "relu"),
        ("tanh", "tanh"),
    }
    assert {run.params["optimizer.name"] for run in children} == {"adam"}


def test_names_with_a_users_own_optimizer_are_valid_in_mlflow_on_windows_too(definition, inline):
    own = "tests.own.shapes:SignDescent"
    changes = {"optimizers": (own,), "spaces": {own: {"optimizer.lr": Range(low=1e-4, high=1e-3)}}, "budget": 2}
    tracker = MemoryTracker()
    sweep = tracker.runs[run_sweep("tiny", definition.model_copy(update=changes), tracker, inline).sweep_id]
    names = [*sweep.params, *(row.name for row in sweep.rows)]
    assert {
        "spaces.tests.own.shapes.SignDescent.optimizer.lr.low",
        "best_validation_accuracy/tests.own.shapes.SignDescent",
        "final_test_accuracy/tests.own.shapes.SignDescent",
    } <= {*names}
    assert [name for name in names if ":" in name] == []


def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


OWN = {
    "dataset.name": "tests.own.shapes:bars",
    "dataset.train_size": 225,
    "dataset.validation_size": 80,
    "dataset.test_size": 80,
    "model.name": "tests.own.shapes:Scores",
}


def of_own_parts(definition, **space) -> SweepDefinition:
    base = with_settings(definition.base, OWN)
    return definition.model_copy(
        update={"base": base, "space": {key.replace("__", "."): each for key, each in space.items()}}
    )


@pytest.mark.long
def test_a_study_can_search_models_of_logits_and_of_log_probabilities(definition, inline):
    models = Choice(choices=("tests.own.shapes:Small", "tests.own.shapes:Scores"))
    tracker = MemoryTracker()
    run_sweep("models", of_own_parts(definition, model__name=models), tracker, inline)
    runs = [run for run in tracker.runs.values() if run.tags["harness.stage"] != "sweep"]
    found = {run.params["model.name"]: run.params.get("model.outputs") for run in runs}
    assert found == {"tests.own.shapes:Small": None, "tests.own.shapes:Scores": "logits"}
    assert all(0 < run.history[1]["train/loss"] < 3 for run in runs)


def test_every_model_that_a_study_can_draw_is_tried_before_anything_is_trained(definition, inline):
    models = Choice(choices=("tests.own.shapes:Scores", "tests.own.shapes:Small", "tests.own.shapes:Lazy"))
    tracker = MemoryTracker()
    with pytest.raises(BadInputError, match="Lazy' has lazy modules"):
        run_sweep("models", of_own_parts(definition, model__name=models), tracker, inline)
    assert not tracker.runs


def test_every_batch_size_that_a_study_can_draw_is_tried_before_anything_is_trained(definition, inline):
    tracker = MemoryTracker()
    unsound = of_own_parts(definition, batch_size=Choice(choices=(50, 56)))
    unsound = unsound.model_copy(
        update={"base": with_settings(unsound.base, {"model.name": "tests.own.shapes:Normed"})}
    )
    with pytest.raises(BadInputError, match="on a batch of 1 of 225 images in batches of 56"):
        run_sweep("sizes", unsound, tracker, inline)
    assert not tracker.runs


@pytest.mark.slow
def test_workers_that_die_again_and_again_stop_the_sweep_in_one_line(definition, data, monkeypatch):
    monkeypatch.setattr("studies.executors.pool.train_slice", die)
    tracker = MemoryTracker()
    with (
        pytest.raises(WorkFailedError, match="workers died 3 times without a finished slice in between"),
        open_pool("local", 2, data) as pool,
    ):
        run_sweep("tiny", definition, tracker, pool)
    assert multiprocessing.active_children() == []
