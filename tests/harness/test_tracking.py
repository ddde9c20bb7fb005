"""Both trackers keep the same contract, and the MLflow one keeps it in a real store."""

import pytest

from harness.errors import BadInputError, without_password
from harness.folders import work_folder
from harness.records import Outcome
from harness.tracking import MemoryTracker, MlflowTracker, read_tracked_run


@pytest.fixture(params=[MlflowTracker, MemoryTracker])
def tracker(request, project):
    return request.param()


def test_a_run_is_found_by_its_tags_with_its_last_metrics(tracker):
    first = tracker.start_run("tiny", "one", {"lr": 0.1}, {"kind": "a", "odd": "it's"})
    second = tracker.start_run("tiny", "two", {"lr": 0.2}, {"kind": "a"})
    tracker.start_run("other", "three", {}, {"kind": "a"})
    tracker.log_metrics(first, {"train/loss": 0.5}, step=1)
    tracker.log_metrics(first, {"train/loss": 0.25}, step=2)
    found = tracker.find_runs("tiny", {"kind": "a"})
    assert {run.run_id for run in found} == {first, second}
    assert next(run.metrics for run in found if run.run_id == first) == {"train/loss": 0.25}
    assert tracker.find_runs("tiny", {"kind": "b"}) == []


def test_a_reopened_run_says_how_far_it_is_and_ends_again(tracker):
    run_id = tracker.start_run("tiny", "one", {"lr": 0.1}, {})
    tracker.reopen_run(run_id, {"lr": 0.1, "seed": 0})
    assert tracker.last_step(run_id) == 0
    tracker.log_metrics(run_id, {"train/loss": 0.5}, step=1)
    tracker.end_run(run_id, Outcome.KILLED)
    tracker.reopen_run(run_id, {"lr": 0.1})
    assert tracker.last_step(run_id) == 1
    tracker.end_run(run_id, Outcome.COMPLETED)
    (found,) = tracker.find_runs("tiny", {"harness.outcome": "completed"})
    assert found.run_id == run_id


def test_an_artifact_comes_back_byte_by_byte(tracker):
    run_id = tracker.start_run("tiny", "one", {}, {})
    tracker.log_artifact(run_id, "folder/file.bin", b"\x00\xff")
    assert tracker.read_artifact(run_id, "folder/file.bin") == b"\x00\xff"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.COMPLETED, "FINISHED"),
        (Outcome.PRUNED, "FINISHED"),
        (Outcome.DIVERGED, "FAILED"),
        (Outcome.FAILED, "FAILED"),
        (Outcome.KILLED, "KILLED"),
    ],
)
def test_an_outcome_has_its_mlflow_status(project, outcome, status):
    tracker = MlflowTracker()
    run_id = tracker.start_run("tiny", "one", {}, {})
    tracker.end_run(run_id, outcome)
    run = read_tracked_run(run_id)
    assert (run.status, run.tags["harness.outcome"]) == (status, outcome)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        (
            "--storage=postgresql+psycopg://me:sec:ret@host/db is away",
            "--storage=postgresql+psycopg://me:***@host/db is away",
        ),
        ("postgresql:///db?host=h&password=secret&user=me", "postgresql:///db?host=h&password=***&user=me"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("http://127.0.0.1:5000/a", "http://127.0.0.1:5000/a"),
        ("postgresql://me:1234/5@host/db", "postgresql://me:***@host/db"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_a_password_is_never_shown(text, shown):
    assert without_password(text) == shown


@pytest.mark.parametrize("run_id", ["../../etc", "/etc", "a/b", "..", "", "a b"])
def test_an_id_that_would_lead_to_another_folder_is_no_path(run_id):
    with pytest.raises(BadInputError, match="run id"):
        work_folder("sweeps", run_id)
