"""Whoever watches a sweep sees what fails, and why."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from experiments.cli.live import Lines, Screen
from experiments.cli.results import print_summary
from harness.config import with_settings
from harness.open_run import OpenRun
from harness.records import Divergence, Outcome, Stage, TrajectoryPoint
from harness.slices import SliceResult
from harness.training.checkpoint import Checkpoint
from harness.training.trajectory import Steps
from studies.jobs import Job
from studies.progress import Progress
from tests import tiny

CAUSE = "ValueError: Expected more than 1 value\nper channel, in /home/me/study/net.py"
SHORT = "ValueError: Expected more than 1 value per channel, in net.py"
NOT_FINITE = "the train loss is not finite at epoch 1, step 7"


def ended(stage: Stage, number: int, outcome: Outcome, failure: str | None = None) -> Job:
    divergence = Divergence(epoch=1, step=7, split="train") if outcome is Outcome.DIVERGED else None
    run = OpenRun("id", tiny.BASE, ("validation",), None, Checkpoint(divergence=divergence), 0, {})
    return Job(stage, "sgd", number, run, 2, outcome=outcome, failure=failure)


def progress() -> Progress:
    none = {"sgd": 0, "adam": 0}
    return Progress(tiny.definition(), 1, none, none, {})


FAILED = ended(Stage.TRIAL, 3, Outcome.FAILED, CAUSE)
DIVERGED = ended(Stage.TRIAL, 4, Outcome.DIVERGED)
LOST = ended(Stage.FINAL, 1, Outcome.DIVERGED)


@pytest.mark.parametrize(
    ("job", "end"),
    [
        (FAILED, f"trial 3 of sgd  failed: {SHORT}"),
        (DIVERGED, f"trial 4 of sgd  diverged: {NOT_FINITE}"),
        (LOST, f"final, seed 1 of sgd  diverged: {NOT_FINITE}"),
        (ended(Stage.FINAL, 1, Outcome.FAILED, "KeyError"), "final, seed 1 of sgd  failed: KeyError"),
        (ended(Stage.TRIAL, 1, Outcome.PRUNED), "trial 1 of sgd  pruned"),
    ],
)
def test_the_line_of_an_incomplete_trial_or_final_shows_the_cause(job, end):
    written = io.StringIO()
    lines = Lines(Console(file=written, width=40))
    lines.opened("id", progress())
    lines.ended(job)
    assert written.getvalue().splitlines()[-1].endswith(f"] {end}")


def trained(step: int, observers) -> Job:
    """A trial of 20 steps an epoch, of which as many slices as steps ended, seen by the observers."""
    run = OpenRun("id", with_settings(tiny.BASE, {"batch_size": 16}), ("validation",), None, Checkpoint(), 0, {})
    job = Job(Stage.TRIAL, "sgd", 3, run, 2)
    for observer in observers:
        observer.started(job)
        observer.submitted(job)
    for each in range(1, step + 1):
        steps = Steps(np.full(each, 0.5, np.float32), np.ones(each, np.int64))
        point = TrajectoryPoint(step=each, images=16 * each, validation_loss=1.0, validation_accuracy=each / 100)
        run.checkpoint = Checkpoint(None, (), each, (*run.checkpoint.points, point))
        result = SliceResult(state=b"", step=each, steps=steps, seconds=1.5, points=(point,))
        for observer in observers:
            observer.trained(job, result)
    return job


def test_slices_within_an_epoch_print_a_line_for_each_tenth_of_the_epoch():
    written = io.StringIO()
    lines, counted = Lines(Console(file=written, width=40)), progress()
    lines.opened("id", counted)
    trained(5, [counted, lines])
    opened, *shown = written.getvalue().splitlines()
    assert opened == "sweep id: 0.0 of 24 epochs done; on a subset of the data: its accuracies mean nothing"
    assert [line.rsplit("  ", 1)[0] for line in shown] == [
        "[0.1/24] trial 3 of sgd  epoch 0.1  train loss 0.5000  validation accuracy 2.00%  1.5 s",
        "[0.2/24] trial 3 of sgd  epoch 0.2  train loss 0.5000  validation accuracy 4.00%  1.5 s",
    ]
    assert all(line.endswith(" left") for line in shown)


def test_the_screen_shows_a_trials_progress_within_an_epoch_and_its_last_measurement():
    written = io.StringIO()
    console, counted = Console(file=written, width=200), progress()
    screen = Screen(tiny.definition(), console)
    screen.opened("id", counted)
    trained(5, [counted, screen])
    console.print(screen)
    assert "trial 3, epoch 0.2 of 2, 5.00%" in written.getvalue()
    assert "0.2/12" in written.getvalue()


def test_the_screen_counts_the_runs_of_an_optimizer_that_has_several():
    written = io.StringIO()
    console, counted = Console(file=written, width=200), progress()
    screen = Screen(tiny.definition(), console)
    screen.opened("id", counted)
    heights = []
    for number in range(8):
        counted.started(Job(Stage.TRIAL, "sgd", number, another_run(f"id {number}", number), 2))
        heights.append(len(console.render_lines(screen)))
    console.print(screen)
    assert "8 runs, the best at 7.00%" in written.getvalue()
    assert "trial 3" not in written.getvalue()
    assert len({*heights}) == 1


def another_run(run_id, number):
    points = (TrajectoryPoint(step=1, images=16, validation_loss=1.0, validation_accuracy=number / 100),)
    return OpenRun(run_id, tiny.BASE, ("validation",), None, Checkpoint(None, (), 1, points if number else ()), 0, {})


def test_the_screen_shows_the_latest_failures_and_no_trial_that_diverged():
    written = io.StringIO()
    console = Console(file=written, width=200)
    screen = Screen(tiny.definition(), console)
    screen.opened("id", progress())
    for job in (ended(Stage.TRIAL, 0, Outcome.FAILED, "KeyError: 'the first'"), FAILED, DIVERGED, LOST, FAILED):
        screen.ended(job)
    console.print(screen)
    shown = written.getvalue()
    assert shown.count(f"trial 3 of sgd failed: {SHORT}") == 2
    assert f"final, seed 1 of sgd diverged: {NOT_FINITE}" in shown
    assert "the first" not in shown
    assert "trial 4" not in shown


def test_the_summary_of_a_sweep_says_whose_trials_failed_and_why(capsys):
    columns = {"tiers": "", "mean": None, "low": None, "high": None, "seeds": 0, "edges": ""}
    rows = [
        {"optimizer": "sgd", "trials": 6, "failed": 4, "failure": f"most often {SHORT}"},
        {"optimizer": "adam", "trials": 2, "failed": 0, "failure": ""},
        {"optimizer": "lion", "trials": 3, "failed": 1, "failure": ""},  # which no version before recorded
    ]
    print_summary(pd.DataFrame([columns | row for row in rows]))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"sgd: 4 of 6 trials failed: most often {SHORT}",
        "lion: 1 of 3 trials failed",
    ]
