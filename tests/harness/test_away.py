"""A store that is away, or a disk that is full, is never taken for a run or a file that is not there."""

import errno
import shutil

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from harness.errors import BadInputError, StoreAwayError
from harness.records import MetricRow
from harness.tracking import buffered
from harness.tracking.buffered import delivered
from harness.tracking.connection import connect, is_away, tracking_uri
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import find_artifact, read_artifact, read_run, read_tracked_run
from tests.command import in_a_pipe
from tests.database import fresh_database
from tests.servers import MlflowServer

READS = {
    "run": read_run,
    "run with its metrics": read_tracked_run,
    "artifact": lambda run_id: read_artifact(run_id, "config.json"),
    "artifact, if any": lambda run_id: find_artifact(run_id, "config.json"),
}


def run_with_a_file(tracker):
    run_id = tracker.start_run("tiny", "a run", {}, {})
    tracker.log_rows(run_id, [MetricRow("train/loss", 0.5, 1)])
    tracker.log_artifact(run_id, "config.json", b"{}")
    return run_id


@pytest.mark.slow
def test_a_stopped_server_is_unavailable_but_a_missing_run_or_file_is_bad_input(project, monkeypatch):
    (project / "server.db").write_bytes(fresh_database())
    server = MlflowServer(project, f"sqlite:///{project / 'server.db'}")
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    run_id = run_with_a_file(MlflowTracker())
    for read in READS.values():
        assert read(run_id)
        with pytest.raises(BadInputError, match="run 'none' is unknown"):
            read("none")
    with pytest.raises(BadInputError, match=r"has no 'state.pt'"):
        read_artifact(run_id, "state.pt")
    assert find_artifact(run_id, "state.pt") is None

    server.kill()
    for read in READS.values():
        with pytest.raises(StoreAwayError) as caught:
            read(run_id)
        assert is_away(caught.value)
    code, said = in_a_pipe("predict", run_id, "--index", "0")
    assert (code, said) == (
        1,
        "harness: the tracking store is unavailable (MlflowException); "
        "run the same command again when it is available\n",
    )


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_locked_database_is_unavailable(project, monkeypatch, read):
    run_id = run_with_a_file(MlflowTracker())

    def locked(*_):
        raise MlflowException("database is locked", TEMPORARILY_UNAVAILABLE)

    monkeypatch.setattr(connect(tracking_uri()), "get_run", locked)
    with pytest.raises(StoreAwayError) as caught:
        read(run_id)
    assert "locked" in str(caught.value.__cause__)


@pytest.fixture
def full_disk(monkeypatch):
    """Make the next two copies of files fail for lack of space; return the failures that are left."""
    failures, copy = [OSError(errno.ENOSPC, "No space left on device")] * 2, shutil.copy2

    def copy_if_there_is_room(*arguments):
        if failures:
            raise failures.pop()
        return copy(*arguments)

    monkeypatch.setattr(shutil, "copy2", copy_if_there_is_room)
    return failures


@pytest.mark.parametrize("read", [READS["artifact"], READS["artifact, if any"]], ids=["artifact", "artifact, if any"])
def test_a_full_disk_makes_the_store_unavailable_when_a_file_is_fetched(project, full_disk, read):
    run_id = run_with_a_file(MlflowTracker())
    with pytest.raises(StoreAwayError) as caught:
        read(run_id)
    assert "No space left" in str(caught.value.__cause__)


def test_the_outbox_waits_until_a_full_disk_has_room_again(project, full_disk, monkeypatch, caplog):
    monkeypatch.setattr(buffered, "PAUSE", 0.001)
    run_id = run_with_a_file(MlflowTracker())
    with delivered(MlflowTracker()) as outbox:
        assert outbox.read_artifact(run_id, "config.json") == b"{}"
    assert full_disk == []
    assert "the tracking store is available again" in caplog.text
