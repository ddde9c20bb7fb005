"""What is written arrives once and in order, however often the store is away and whatever answer was lost."""

import pytest

from harness.errors import WorkFailedError
from harness.records import DatasetInput, MetricRow, Outcome, Stage, Tag
from harness.tracking import buffered as outbox
from harness.tracking.buffered import delivered
from tests.memory_tracker import MemoryTracker

TAGS = {Tag.SWEEP_ID: "s", Tag.STAGE: Stage.TRIAL, Tag.OPTIMIZER: "adam", Tag.NUMBER: "0", Tag.CONFIG_HASH: "c"}
WRITES = ("start_run", "set_tags", "log_inputs", "log_rows", "log_artifact", "log_model", "end_run")
DATA = DatasetInput(name="mnist", use="training", digest="d", source="/data", images=640)
ROWS = [MetricRow("trajectory/train_loss", 1 / images, images) for images in (40, 80, 120, 160)]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(outbox, "PAUSE", 0.001)


class Unreliable(MemoryTracker):
    """Fail each kind of write this often: before the write, or after it, so that only the answer is lost."""

    def __init__(self, failures: int, after: bool) -> None:
        super().__init__()
        self.failures = dict.fromkeys(WRITES, failures)
        self.after = after

    def __getattribute__(self, name):
        method = super().__getattribute__(name)
        if name not in WRITES:
            return method

        def call(*arguments):
            self.failures[name] -= 1
            if self.failures[name] < 0:
                return method(*arguments)
            if self.after:
                method(*arguments)
            raise ConnectionError("away")

        return call


def write_all(tracker) -> str:
    run_id = tracker.start_run("tiny", "a trial", {"lr": 1}, TAGS)
    tracker.log_inputs(run_id, [DATA])
    for step in (1, 2, 3):
        tracker.log_rows(run_id, [MetricRow("train/loss", 1 / step, step), ROWS[step - 1]])
    tracker.log_rows(run_id, ROWS[3:])
    tracker.set_tags(run_id, {"more": "yes"})
    tracker.log_artifact(run_id, "file", b"content")
    tracker.log_model(run_id, run_id, None)
    tracker.end_run(run_id, Outcome.COMPLETED)
    return run_id


@pytest.mark.parametrize("after", [False, True], ids=["not made", "answer lost"])
@pytest.mark.parametrize("failures", [0, 1, 4])
def test_all_writes_arrive_once_and_in_order(failures, after):
    store = Unreliable(failures, after)
    order = []
    with delivered(store) as tracker:
        own = write_all(tracker)
        tracker.when_delivered(lambda: order.append(len(store.runs[tracker.stored_id(own)].history)))
        assert tracker.last_step(own, "train/loss") == 3
        assert tracker.last_step(own, ROWS[0].name) == 160
    ((run_id, run),) = store.runs.items()
    assert (list(run.history), run.inputs, run.trained_by) == ([1, 2, 3], (DATA,), run_id)
    assert (run.tags["more"], run.artifacts, run.outcome) == ("yes", {"file": b"content"}, Outcome.COMPLETED)
    assert run.rows == ROWS
    assert order == [3]


def test_a_store_that_stays_unavailable_fails_the_run_and_gets_no_later_writes(monkeypatch):
    monkeypatch.setattr(outbox, "PATIENCE", 0.02)
    store = Unreliable(0, after=False)
    store.failures["log_rows"] = 10**6
    delivered_after = []

    def work():
        with delivered(store) as tracker:
            write_all(tracker)
            tracker.when_delivered(lambda: delivered_after.append(True))

    with pytest.raises(WorkFailedError, match=r"was unavailable for 0 s \(ConnectionError\).*same command"):
        work()
    (run,) = store.runs.values()
    assert (run.history, run.rows, run.outcome, delivered_after) == ({}, [], None, [])


def test_an_exception_is_raised_without_waiting_for_an_unavailable_store():
    store = Unreliable(10**6, after=False)

    def interrupted():
        with delivered(store) as tracker:
            write_all(tracker)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert store.runs == {}


def test_a_write_that_the_store_refuses_raises_at_once():
    class Refusing(MemoryTracker):
        def set_tags(self, run_id, tags):
            raise ValueError("no such run")

    with pytest.raises(ValueError, match="no such run"), delivered(Refusing()) as tracker:
        write_all(tracker)


def test_a_failure_names_the_run_by_its_id_in_the_store():
    store = MemoryTracker()

    def work():
        with delivered(store) as tracker:
            own = write_all(tracker)
            tracker.last_step(own, "train/loss")
            raise WorkFailedError(own, "it broke")

    with pytest.raises(WorkFailedError) as caught:
        work()
    assert caught.value.run_id in store.runs
