"""A running sweep shows what each worker trains, and a time left that is right within a third."""

import heapq
import itertools
import math

import numpy as np
import pytest

from harness.config import with_settings
from harness.records import EpochMetrics, Outcome, Stage
from harness.run import OpenRun
from harness.slices import SliceResult
from harness.training.checkpoint import Checkpoint
from harness.training.trajectory import Steps
from studies.jobs import Job
from studies.progress import Progress, Publisher
from studies.snapshot import read_snapshot

SECONDS = {"sgd": {32: 10.0, 256: 6.0}, "adam": {32: 13.0, 256: 7.0}}  # of an epoch, by batch size
OVERHEAD = 0.2  # seconds between a slice and the next


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def job(definition, stage, optimizer, number, batch_size, limit):
    settings = {"optimizer.name": optimizer, "batch_size": batch_size, "epochs": limit}
    config = with_settings(definition.base, settings)
    run = OpenRun(f"{stage} {optimizer} {number}", config, ("validation",), None, Checkpoint(), 0, {})
    return Job(stage, optimizer, number, run, limit)


def epoch(job, slower):
    """Return the job's next slice, and count it as trained."""
    seconds = SECONDS[job.optimizer][job.run.config.batch_size] * slower
    accuracy = {"validation_accuracy": 0.9 + 0.05 * (job.run.config.batch_size == 256), "test_accuracy": 0.9}
    metrics = EpochMetrics(
        epoch=int(job.epochs) + 1,
        train_loss=1.0,
        train_accuracy=0.9,
        train_seconds=seconds * 0.9,
        evaluate_seconds=seconds * 0.1,
        images_per_second=1.0,
        **accuracy,
    )
    job.run.checkpoint = Checkpoint(None, (*job.run.checkpoint.epochs, metrics))
    steps = Steps(np.ones(1, np.float32), np.ones(1, np.int64))
    return SliceResult(state=b"", step=0, steps=steps, seconds=seconds, metrics=metrics)


def simulate(definition, workers, slower_after=math.inf):
    """Simulate a sweep, and yield the clock and the shown time left after every epoch.

    After `slower_after` seconds everything takes twice as long, as on a machine that got other work.
    """
    clock = Clock()
    names = definition.optimizers
    progress = Progress(definition, workers, dict.fromkeys(names, 0), dict.fromkeys(names, 0), {}, clock)
    batch_sizes = itertools.cycle((32, 256, 256))
    trials = [
        [job(definition, Stage.TRIAL, name, number, next(batch_sizes), 2) for number in range(definition.budget // 2)]
        for name in names
    ]
    finals = [
        [job(definition, Stage.FINAL, name, seed, 256, definition.final_epochs)]
        for seed in definition.final_seeds
        for name in names
    ]
    for chains in (trials, finals):
        waiting, running = [iter(chain) for chain in chains], []
        current = [next(chain) for chain in waiting]
        ready = list(range(len(chains)))
        while ready or running:
            while ready and len(running) < workers:
                index = ready.pop(0)
                each = current[index]
                if not each.epochs:
                    progress.started(each)
                progress.submitted(each)
                slower = 2 if clock.now > slower_after else 1
                end = clock.now + slower * SECONDS[each.optimizer][each.run.config.batch_size] + OVERHEAD
                heapq.heappush(running, (end, index))
            clock.now, index = heapq.heappop(running)
            each = current[index]
            progress.trained(each, epoch(each, 2 if clock.now > slower_after else 1))
            if each.epochs < each.limit:
                ready.insert(0, index)  # one that goes on comes before one that has not begun
            else:
                each.outcome = Outcome.COMPLETED
                progress.ended(each)
                current[index] = next(waiting[index], None)
                if current[index] is not None:
                    ready.append(index)
            yield clock.now, progress.seconds_left


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_time_left_is_right_within_a_third(definition, workers):
    longer = definition.model_copy(update={"budget": 20, "final_seeds": (1, 2, 3, 4), "final_epochs": 2})
    shown = list(simulate(longer, workers))
    end = shown[-1][0]
    assert shown[-1][1] == 0
    after_a_trial_of_each = shown[8:-1]
    for now, left in after_a_trial_of_each:
        actual = end - now
        if actual > 15:  # seconds, about an epoch
            assert 2 / 3 < left / actual < 4 / 3, (now, left, actual)


def test_the_time_left_follows_a_machine_that_gets_slower(definition):
    longer = definition.model_copy(update={"budget": 60, "final_seeds": (1, 2, 3, 4), "final_epochs": 2})
    shown = list(simulate(longer, 2, slower_after=300))
    end = shown[-1][0]
    followed = 300 + 8 * 2 * 13  # seconds of eight slow epochs of each study
    late = [left / (end - now) for now, left in shown if now > followed and end - now > 30]
    assert len(late) > 30
    assert 2 / 3 < min(late) <= max(late) < 4 / 3


def test_a_trial_that_an_earlier_process_trained_gives_no_estimate_of_its_pace(definition):
    progress = Progress(definition, 1, {"sgd": 0, "adam": 0}, {"sgd": 0, "adam": 0}, {})
    trained = job(definition, Stage.TRIAL, "adam", 0, 32, 1)
    epoch(trained, 1)
    progress.started(trained)
    trained.outcome = Outcome.COMPLETED
    progress.ended(trained)
    assert progress.seconds_left is None
    assert progress.best == {"adam": 0.9}


def test_there_is_no_estimate_before_a_slice_has_ended(definition):
    assert Progress(definition, 2, {"sgd": 0, "adam": 0}, {"sgd": 0, "adam": 0}, {}).seconds_left is None


def test_other_processes_see_what_each_worker_trains(definition, tmp_path):
    clock = Clock()
    progress = Progress(definition, 3, {"sgd": 0, "adam": 0}, {"sgd": 0, "adam": 0}, {}, clock)
    publisher = Publisher(progress, tmp_path)
    assert read_snapshot(tmp_path) is None
    trial, final = job(definition, Stage.TRIAL, "adam", 4, 32, 2), job(definition, Stage.FINAL, "sgd", 1, 32, 1)
    for each in (trial, final):
        progress.started(each)
        progress.submitted(each)
    publisher.waiting()
    assert read_snapshot(tmp_path).workers == (
        "adam trial 4, epoch 0.0 of 2",
        "sgd final, seed 1, epoch 0.0 of 1",
        None,
    )
    progress.trained(trial, epoch(trial, 1))
    assert progress.workers == [None, "sgd final, seed 1, epoch 0.0 of 1", None]
    progress.submitted(trial)
    assert progress.workers[0] == "adam trial 4, epoch 1.0 of 2"
    clock.now += SECONDS["adam"][32] * 0.4
    assert progress.workers == ["adam trial 4, epoch 1.4 of 2", "sgd final, seed 1, epoch 0.4 of 1", None]
    clock.now += SECONDS["adam"][32]  # as far as that slice goes at most
    assert progress.workers[0] == "adam trial 4, epoch 2.0 of 2"
    trial.outcome = Outcome.FAILED
    progress.ended(trial)
    assert progress.workers[0] is None
    assert progress.spent[Stage.TRIAL] == {"sgd": 0, "adam": 2}


def test_slices_count_as_fractions_of_an_epoch(definition):
    progress = Progress(definition, 1, {"sgd": 0, "adam": 0}, {"sgd": 0, "adam": 0}, {})
    trial = job(definition, Stage.TRIAL, "adam", 0, 32, 2)
    progress.started(trial)
    for done, step in ((0.25, 2), (0.75, 6)):  # of eight
        trial.run.checkpoint = Checkpoint(None, (), step)
        steps = Steps(np.ones(step, np.float32), np.ones(step, np.int64))
        progress.trained(trial, SliceResult(state=b"", step=step, steps=steps, seconds=step * 3.0))
        assert progress.epochs_done == progress.spent[Stage.TRIAL]["adam"] == done
    progress.trained(trial, epoch(trial, 1))
    assert progress.epochs_done == 1
