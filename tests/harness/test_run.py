"""A run that was stopped, by anything, goes on to the very end of one that was left alone."""

import json
import random
import signal
import time
from collections import Counter
from functools import partial

import pytest

from harness.config import RunConfig, with_settings
from harness.errors import BadInputError, BusyError, WorkFailedError
from harness.records import METRIC_NAMES, STEPS_ARTIFACT, TRAJECTORY, Outcome, Stage, Tag
from harness.run import begin_run, checkpoint_folder, complete_run, resume_run
from harness.slices import train_slice
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import read_tracked_run
from harness.training.checkpoint import load_latest
from harness.training.trajectory import steps_from_bytes
from tests.memory_tracker import MemoryTracker
from tests.metrics import numbers

TINY = ["dataset.train_size=320", "dataset.validation_size=160", "threads=1"]
DATA = ["--data-dir", "data"]
RUN = ["run", "chapter", "--device", "cpu", *DATA, *(word for setting in TINY for word in ("--set", setting))]
MEASURES = ("train/loss", "train/accuracy", "validation/loss", "validation/accuracy", "test/loss", "test/accuracy")


class StopAfter(Exception):  # noqa: N818
    pass


def stop_after(epochs: int, error: BaseException):
    def on_epoch(metrics):
        if metrics.epoch == epochs:
            raise error

    return on_epoch


def raising(error: BaseException):
    def call(*arguments, **more):
        raise error

    return call


@pytest.mark.long
@pytest.mark.parametrize(
    ("every", "error", "outcome"),
    [
        (1, StopAfter(), Outcome.FAILED),
        (2, KeyboardInterrupt(), Outcome.KILLED),
        (3, StopAfter(), Outcome.FAILED),
    ],
)
def test_a_stopped_run_resumes_as_the_same_run_without_repeated_rows(config: RunConfig, data, every, error, outcome):
    size = {"dataset.train_size": 192, "dataset.validation_size": 96}
    config = with_settings(config, size | {"epochs": 4, "checkpoint_every": every})
    alone = MemoryTracker()
    expected = complete_run(begin_run(config, alone, "tiny", data), alone, data)

    tracker = MemoryTracker()
    run = begin_run(config, tracker, "tiny", data)
    with pytest.raises(type(error)):
        complete_run(run, tracker, data, on_epoch=stop_after(2, error))
    assert tracker.runs[run.run_id].outcome == outcome
    assert sorted(tracker.runs[run.run_id].history) == [1, 2]
    record = complete_run(resume_run(run.run_id, tracker, data), tracker, data)
    assert record.run_id == run.run_id
    assert record.state_hash == expected.state_hash
    assert numbers(record.epochs) == numbers(expected.epochs)
    assert sorted(tracker.runs[run.run_id].history) == [1, 2, 3, 4]
    assert not checkpoint_folder(run.run_id).exists()


def test_a_saved_epoch_that_was_not_tracked_is_tracked_on_resume(config: RunConfig, data, monkeypatch):
    tracker = MemoryTracker()
    run = begin_run(with_settings(config, {"epochs": 1}), tracker, "tiny", data)
    with monkeypatch.context() as patch:
        patch.setattr(tracker, "log_rows", raising(StopAfter()))
        with pytest.raises(StopAfter):
            complete_run(run, tracker, data)
    assert tracker.runs[run.run_id].history == {}
    assert len(load_latest(checkpoint_folder(run.run_id)).epochs) == 1
    complete_run(resume_run(run.run_id, tracker, data), tracker, data)
    assert sorted(tracker.runs[run.run_id].history) == [1]


SMALLER = {"dataset.train_size": 192, "dataset.validation_size": 96, "batch_size": 16, "epochs": 2}
WRITTEN = {
    "nothing": (),
    "windows": TRAJECTORY[:2],
    "all points": TRAJECTORY,
    "metrics": tuple(METRIC_NAMES.values()),
}
DIVERGING = {"optimizer.name": "sgd", "optimizer.lr": 1e6, "optimizer.weight_decay": 1.0}


@pytest.fixture
def slices_of_a_step(monkeypatch):
    monkeypatch.setattr("harness.run.train_slice", partial(train_slice, seconds=0))


def tracked_of(tracker: MemoryTracker, run_id: str):
    """Return all tracked values of a run that repeat exactly."""
    run = tracker.runs[run_id]
    history = {step: {name: each[name] for name in each if name in MEASURES} for step, each in run.history.items()}
    steps = steps_from_bytes(run.artifacts[STEPS_ARTIFACT])
    ending = [run.tags.get(name) for name in (Tag.STATE_HASH, Tag.IMAGES, Tag.DIVERGENCE, Tag.OUTCOME)]
    return history, sorted(run.rows), steps.losses.tolist(), steps.correct.tolist(), ending


def alone(config: RunConfig, data):
    """Return the tracked values of an undisturbed run in slices of whole epochs."""
    tracker = MemoryTracker()
    return tracked_of(tracker, complete_run(begin_run(config, tracker, "tiny", data), tracker, data).run_id)


@pytest.mark.long
@pytest.mark.parametrize("more", [{}, DIVERGING, {"trajectory.images": 0, "trajectory.windows": 5}], ids=str)
def test_tracked_values_are_the_same_for_any_slices(config: RunConfig, data, more, request):
    config = with_settings(config, SMALLER | more)
    expected = alone(config, data)
    request.getfixturevalue("slices_of_a_step")
    assert alone(config, data) == expected
    history, rows, losses, correct, (_, images, divergence, _) = expected
    if divergence is None:
        assert (len(history), len(losses), len(correct), images) == (2, 24, 24, "384")
        names = Counter(row.name for row in rows)
        assert names == (dict.fromkeys(TRAJECTORY[:2], 2 * 5) if more else {**names, TRAJECTORY[0]: 2 * 12})
    else:
        assert (history, len(losses)) == ({}, json.loads(divergence)["step"])
        assert int(images) == 16 * (len(losses) + 1)
        assert len(rows) > 0


@pytest.mark.long
def test_a_run_stopped_within_an_epoch_resumes_after_its_last_slice(config, data, slices_of_a_step):
    config = with_settings(config, SMALLER)
    tracker, trained = MemoryTracker(), []
    run = begin_run(config, tracker, "tiny", data)

    def on_step(epoch, progress):
        trained.append((epoch, progress.step))
        if trained.count((2, 8)) == 1 and trained[-1] == (2, 8):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete_run(run, tracker, data, on_step=on_step)
    kept = load_latest(checkpoint_folder(run.run_id))
    assert (len(kept.epochs), kept.step) == (1, 7)
    complete_run(resume_run(run.run_id, tracker, data), tracker, data, on_step=on_step)
    steps = [(epoch, step) for epoch in (1, 2) for step in range(1, 13)]
    assert trained == steps[:20] + steps[19:]
    assert tracked_of(tracker, run.run_id) == alone(config, data)


@pytest.mark.long
@pytest.mark.parametrize("more", [{}, DIVERGING], ids=str)
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_saved_points_and_windows_that_were_not_tracked_are_tracked_on_resume(
    config, data, monkeypatch, more, written
):
    """Break a run of one epoch off while it is tracked, with nothing, its windows, all points or metrics written."""
    config = with_settings(config, SMALLER | {"epochs": 1} | more)
    tracker = MemoryTracker()
    run = begin_run(config, tracker, "tiny", data)
    with monkeypatch.context() as patch:
        write = tracker.log_rows

        def write_a_part(run_id, rows):
            write(run_id, [row for row in rows if row.name in written])
            raise StopAfter

        patch.setattr(tracker, "log_rows", write_a_part)
        with pytest.raises(StopAfter):
            complete_run(run, tracker, data)
    complete_run(resume_run(run.run_id, tracker, data), tracker, data)
    assert tracked_of(tracker, run.run_id) == alone(config, data)


def test_each_epoch_is_tracked_with_one_write(config, data, monkeypatch):
    config = with_settings(config, SMALLER)
    tracker, written = MemoryTracker(), []
    monkeypatch.setattr(tracker, "log_rows", lambda _, rows: written.append({row.name for row in rows}))
    complete_run(begin_run(config, tracker, "tiny", data), tracker, data)
    assert len(written) == config.epochs
    assert all({*TRAJECTORY, METRIC_NAMES["train_loss"]} <= names for names in written)


def test_only_a_stopped_single_run_can_be_resumed(config: RunConfig, data):
    tracker = MemoryTracker()
    ended = complete_run(begin_run(config, tracker, "tiny", data), tracker, data)
    with pytest.raises(BadInputError, match="has completed"):
        resume_run(ended.run_id, tracker, data)
    trial = tracker.start_run("tiny", "a trial", {}, {Tag.STAGE: Stage.TRIAL})
    with pytest.raises(BadInputError, match=r"is a trial: expected a single run; rerun the sweep itself"):
        resume_run(trial, tracker, data)
    with pytest.raises(BadInputError, match="unknown"):
        resume_run("missing", tracker, data)


def test_resuming_a_run_in_progress_is_refused_with_its_process(config: RunConfig, data):
    tracker = MemoryTracker()
    run = begin_run(config, tracker, "tiny", data)
    with pytest.raises(BusyError, match=r"being run by process \d+ on"):
        complete_run(run, tracker, data, on_epoch=lambda _: resume_run(run.run_id, tracker, data))


def test_resuming_with_other_data_is_refused(config: RunConfig, data):
    tracker = MemoryTracker()
    run = begin_run(config, tracker, "tiny", data)
    tracker.set_tags(run.run_id, {Tag.DATA_DIGEST: "0" * 64})
    with pytest.raises(BadInputError, match=r"has digest [0-9a-f]{64}: expected 0{64}"):
        resume_run(run.run_id, tracker, data)


@pytest.mark.slow
def test_a_full_disk_fails_the_run_in_one_line_and_the_run_resumes_with_free_space(
    harness_started, harness_json, data
):
    # files over 2 MB can't be written: a checkpoint has 3.5 MB, the database under 1 MB
    full = harness_started(*RUN, "--epochs", "2", module="tests.tiny", TINY_FILE="2000000")
    assert "harness: run stopped in epoch 1, [Errno 27] File too large" in full.end_with(1)
    (run,) = client_runs()
    assert run.data.tags[Tag.OUTCOME] == "failed"
    record = harness_json("run", "--resume", run.info.run_id, *DATA)
    assert (record["outcome"], len(record["epochs"])) == ("completed", 2)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_recorded_as_killed_and_prints_how_to_resume(
    harness_started, harness_json, data, number
):
    run = harness_started(*RUN, "--epochs", "16")
    run.wait_for("epoch 2/")
    run.signal(number)
    printed = run.end_with(130)
    (tracked,) = client_runs()
    assert (tracked.info.status, tracked.data.tags[Tag.OUTCOME]) == ("KILLED", "killed")
    assert f"to resume: harness run --resume {tracked.info.run_id}" in printed
    assert harness_json("run", "--resume", tracked.info.run_id, *DATA)["outcome"] == "completed"


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_like_an_undisturbed_one(harness_started, harness_json, data):
    expected = harness_json(*RUN, "--epochs", "22")
    moments = random.Random(0)
    run = harness_started(*RUN, "--epochs", "22")
    for _ in range(20):
        run.wait_for("test accuracy")  # at an epoch's end
        time.sleep(moments.uniform(0, 0.1))
        run.kill()
        (stopped,) = [each for each in client_runs() if each.info.run_id != expected["run_id"]]
        run = harness_started("run", "--resume", stopped.info.run_id, *DATA)
    run.end_with(0)
    ended, left_alone = (read_tracked_run(run_id) for run_id in (stopped.info.run_id, expected["run_id"]))
    assert ended.status == "FINISHED"
    assert ended.tags[Tag.STATE_HASH] == left_alone.tags[Tag.STATE_HASH]
    for measure in MEASURES:
        assert ended.history[measure] == left_alone.history[measure]
        rows = [point.step for point in connect(tracking_uri()).get_metric_history(stopped.info.run_id, measure)]
        assert rows == sorted(set(rows)) == list(range(1, 23))


def client_runs():
    client = connect(tracking_uri())
    return client.search_runs([each.experiment_id for each in client.search_experiments()])


def test_a_failed_run_is_recorded_in_mlflow_with_its_reason(config: RunConfig, data, monkeypatch):
    monkeypatch.setattr("harness.run.train_slice", lambda *_, **__: 1 / 0)
    tracker = MlflowTracker()
    run = begin_run(config, tracker, "tiny", data)
    with pytest.raises(ZeroDivisionError):
        complete_run(run, tracker, data)
    tracked = read_tracked_run(run.run_id)
    assert (tracked.status, tracked.tags[Tag.OUTCOME]) == ("FAILED", "failed")
    assert tracked.tags["harness.error"].startswith("ZeroDivisionError")
    monkeypatch.setattr("harness.run.train_slice", raising(OSError(28, "No space left")))
    resumed = resume_run(run.run_id, tracker, data)
    with pytest.raises(WorkFailedError, match="run stopped in epoch 1"):
        complete_run(resumed, tracker, data)
