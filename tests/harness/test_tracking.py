"""Both trackers keep the same contract, and the MLflow one keeps it in a real store."""

import contextlib
import json
import os
import re
import sqlite3
import threading
import time
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from harness.errors import BadInputError, without_password
from harness.paths import work_folder
from harness.records import POINT_LOSS, WINDOW_LOSS, MetricRow, Outcome, Stage, Tag
from harness.run import begin_run, resume_run
from harness.tracking.charts import SHARED, TRAINING, VIEW, charts, latest_routes, table
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import read_artifact, read_run, read_tracked_run
from harness.training.data import dataset_inputs
from tests.database import fresh_database
from tests.memory_tracker import MemoryTracker
from tests.mnist_folder import write_small_mnist

PROCESSOR = "system/cpu_utilization_percentage"


@pytest.fixture(params=[MlflowTracker, MemoryTracker])
def tracker(request, project):
    return request.param()


def test_a_run_is_found_by_its_tags_with_its_last_metrics(tracker):
    first = tracker.start_run("tiny", "one", {"lr": 0.1}, {"kind": "a", "odd": "it's"})
    second = tracker.start_run("tiny", "two", {"lr": 0.2}, {"kind": "a"})
    tracker.start_run("other", "three", {}, {"kind": "a"})
    tracker.log_rows(first, [MetricRow("train/loss", 0.5, 1)])
    tracker.log_rows(first, [MetricRow("train/loss", 0.25, 2)])
    found = tracker.find_runs("tiny", {"kind": "a"})
    assert {run.run_id for run in found} == {first, second}
    assert next(run.metrics for run in found if run.run_id == first) == {"train/loss": 0.25}
    assert tracker.find_runs("tiny", {"kind": "b"}) == []


def test_a_reopened_run_has_its_last_step_and_can_end_again(tracker):
    run_id = tracker.start_run("tiny", "one", {"lr": 0.1}, {})
    tracker.reopen_run(run_id, {"lr": 0.1, "seed": 0})
    assert tracker.last_step(run_id, "train/loss") == 0
    tracker.log_rows(run_id, [MetricRow("train/loss", 0.5, 1)])
    tracker.log_rows(run_id, [MetricRow(WINDOW_LOSS, 0.6, 40), MetricRow(WINDOW_LOSS, 0.4, 80)])
    tracker.end_run(run_id, Outcome.KILLED)
    tracker.reopen_run(run_id, {"lr": 0.1})
    last = [tracker.last_step(run_id, name) for name in ("train/loss", WINDOW_LOSS, POINT_LOSS)]
    assert last == [1, 80, 0]
    tracker.end_run(run_id, Outcome.COMPLETED)
    (found,) = tracker.find_runs("tiny", {"harness.outcome": "completed"})
    assert found.run_id == run_id


def test_an_artifact_comes_back_byte_by_byte(tracker):
    run_id = tracker.start_run("tiny", "one", {}, {})
    tracker.log_artifact(run_id, "folder/file.bin", b"\x00\xff")
    assert tracker.read_artifact(run_id, "folder/file.bin") == b"\x00\xff"


def test_a_run_has_each_part_of_its_data_as_an_input_once_even_if_resumed(config, project, data):
    tracker = MlflowTracker()
    run_id = begin_run(config, tracker, "tiny", data).run_id
    resume_run(run_id, tracker, data)
    run = read_run(run_id)
    inputs = run.inputs.dataset_inputs
    used = {each.tags[0].value: each.dataset for each in inputs}
    images = {use: json.loads(each.profile)["images"] for use, each in used.items()}
    assert images == {"training": 640, "validation": 160, "testing": 320}
    assert len(inputs) == 3
    assert {each.name for each in used.values()} == {"mnist"}
    assert len({each.digest for each in used.values()}) == 3
    assert {each.digest[:18] for each in used.values()} == {run.data.tags[Tag.DATA_DIGEST][:18]}
    assert Path(mlflow.data.get_source(inputs[0]).load()) == data.resolve()


def test_a_run_records_data_from_its_own_folder_even_if_the_relative_path_is_the_same(config, project, monkeypatch):
    sources = []
    for folder in (project / "one", project / "other"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        run_id = begin_run(config, MlflowTracker(), "tiny", write_small_mnist(Path("data"))).run_id
        sources.append(json.loads(read_run(run_id).inputs.dataset_inputs[0].dataset.source)["uri"])
    assert sources == [(project / name / "data").as_posix() for name in ("one", "other")]


@pytest.fixture
def system_metrics(monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.01")


def system_steps(run_id):
    return [each.step for each in connect(tracking_uri()).get_metric_history(run_id, PROCESSOR)]


def test_system_metrics_are_recorded_if_mlflows_switch_is_on(project, system_metrics):
    tracker = MlflowTracker()
    sweep, trial = (
        tracker.start_run("tiny", "a run", {}, {Tag.STAGE: stage}) for stage in (Stage.SWEEP, Stage.TRIAL)
    )
    for _ in range(2):
        before, deadline = len(system_steps(sweep)), time.monotonic() + 60
        while len(system_steps(sweep)) < before + 2:
            assert time.monotonic() < deadline, "nothing is recorded"
            time.sleep(0.01)
        tracker.end_run(sweep, Outcome.COMPLETED)
        tracker.reopen_run(sweep, {})
    tracker.end_run(sweep, Outcome.COMPLETED)
    steps = system_steps(sweep)
    assert steps == list(range(len(steps))), "they go on where they stopped"
    assert read_run(trial).data.metrics == {}


def test_no_system_metrics_are_recorded_without_mlflows_switch(project):
    tracker = MlflowTracker()
    run_id = tracker.start_run("tiny", "a run", {}, {Tag.STAGE: Stage.RUN})
    assert [each.name for each in threading.enumerate() if each.name == "SystemMetricsMonitor"] == []
    tracker.end_run(run_id, Outcome.COMPLETED)


def test_system_metrics_without_the_packages_they_need_are_refused(project, system_metrics, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        BadInputError, match=r"^MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING 'true': .*optimizer-harness\[system"
    ):
        MlflowTracker()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ENABLE_SYSTEM_METRICS_LOGGING", "true or false"), ("SYSTEM_METRICS_SAMPLING_INTERVAL", "a number")],
)
def test_an_invalid_value_of_a_system_metrics_variable_is_refused(
    project, system_metrics, monkeypatch, name, expected
):
    monkeypatch.setenv(f"MLFLOW_{name}", "sometimes")
    with pytest.raises(BadInputError, match=f"^MLFLOW_{name} 'sometimes': expected {expected}"):
        MlflowTracker()


@pytest.mark.parametrize(
    "name", ["run?a", "a%20b", "50%", "a#b", "it's ü", 'a"b\\c', "a;b&c=d", "a@b:c", "[a]{b}", "%2e%2e"]
)
def test_a_folder_of_any_name_has_its_database_and_artifacts_in_it(project, monkeypatch, name):
    (project / name).mkdir()
    monkeypatch.chdir(project / name)
    tracker = MlflowTracker()
    run_id = tracker.start_run("tiny", "a run", {}, {})
    tracker.log_rows(run_id, [MetricRow("train/loss", 0.5, 1)])
    tracker.log_artifact(run_id, "file.bin", b"content")
    assert read_artifact(run_id, "file.bin") == b"content"
    assert read_tracked_run(run_id).history == {"train/loss": {1: 0.5}}
    assert {path.name for path in Path().iterdir() if "-" not in path.name} == {
        ".harness",
        "mlartifacts",
        "mlflow.db",
    }
    assert [path.name for path in project.iterdir()] == [name]


def test_folders_whose_names_begin_alike_have_stores_of_their_own(project, monkeypatch):
    for name in ("run?a", "run?b"):
        (project / name).mkdir()
        monkeypatch.chdir(project / name)
        tracker = MlflowTracker()
        assert tracker.find_runs("tiny", {}) == []
        tracker.start_run("tiny", "a run", {}, {})


def test_a_folder_name_that_is_not_utf_8_is_refused(project, monkeypatch):
    monkeypatch.setattr(Path, "cwd", lambda: project / os.fsdecode(b"a\xff"))
    with pytest.raises(BadInputError, match=r"^folder '.*a\\udcff': expected a name in UTF-8; rename the folder$"):
        MlflowTracker()


def test_a_database_that_is_not_a_file_is_refused(project):
    Path("mlflow.db").mkdir()
    with pytest.raises(BadInputError, match=r"can't be reached .* repair the file, or run in another folder$"):
        MlflowTracker()


def test_a_deleted_experiment_or_run_is_named_with_how_to_restore_it(project):
    tracker, client = MlflowTracker(), connect(tracking_uri())
    run_id = tracker.start_run("tiny", "a run", {}, {Tag.STAGE: Stage.RUN})
    client.delete_run(run_id)
    with pytest.raises(BadInputError, match=f"run '{run_id}' was deleted: .*`mlflow runs restore`$"):
        resume_run(run_id, tracker)
    client.restore_run(run_id)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    client.delete_experiment(experiment)
    for refused in (
        lambda: MlflowTracker().start_run("tiny", "another", {}, {}),
        lambda: MlflowTracker().find_runs("tiny", {}),
        lambda: resume_run(run_id, tracker),
    ):
        with pytest.raises(
            BadInputError,
            match=f"experiment 'tiny' was deleted: .* number {experiment} with .*`mlflow experiments restore`$",
        ):
            refused()
    client.restore_experiment(experiment)
    assert tracker.find_run(run_id).run_id == run_id


def test_a_database_of_another_version_of_mlflow_is_named_with_how_to_upgrade_it(project):
    Path("mlflow.db").write_bytes(fresh_database())
    with contextlib.closing(sqlite3.connect("mlflow.db", isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '1b5f0d9ad7c1'")
    upgrade = re.escape(f"`mlflow db upgrade '{tracking_uri()}'`")
    with pytest.raises(BadInputError, match=f"is of another version of MLflow: .* run {upgrade}"):
        MlflowTracker()


def test_mlflows_ui_knows_the_names_that_our_charts_use():
    pages = (Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js").glob("main.*.js")
    (text,) = (page.read_text(encoding="utf-8") for page in pages)
    names = (VIEW, SHARED, *(f'"{part}"' for part in TRAINING.split("=")), Tag.COLOUR)
    assert [name for name in names if name not in text] == []
    view = charts("1") | table("1")
    searched = ("searchFilter", "orderByKey", "orderByAsc")
    assert [key for key in view if f'"{key}"' not in text and key not in searched] == []


def test_a_sweep_only_warns_if_the_store_refuses_charts(project, caplog, monkeypatch):
    tracker = MlflowTracker()

    def refuse(*_):
        raise MlflowException("no such tag", BAD_REQUEST)

    monkeypatch.setattr(tracker._client, "set_experiment_tag", refuse)
    run_id = tracker.start_run("tiny", "a sweep", {}, {Tag.STAGE: Stage.SWEEP, Tag.NOTE: "what it is"})
    assert f"sweep {run_id} has no charts: no such tag" in caplog.text
    assert tracker.find_run(run_id).tags[Tag.NOTE] == "what it is"
    assert latest_routes() == {}


def test_inputs_are_recorded_even_if_another_process_records_the_same_data(config, project, small, monkeypatch):
    tracker = MlflowTracker()
    run_id = tracker.start_run("tiny", "a run", {}, {Tag.STAGE: Stage.RUN})
    log_inputs, failures = tracker._client.log_inputs, [MlflowException("UNIQUE constraint failed", BAD_REQUEST)]

    def refused_once(*arguments):
        if failures:
            raise failures.pop()
        log_inputs(*arguments)

    monkeypatch.setattr(tracker._client, "log_inputs", refused_once)
    tracker.log_inputs(run_id, dataset_inputs(config.dataset, small, ("training",)))
    assert [each.dataset.name for each in read_run(run_id).inputs.dataset_inputs] == ["mnist"]


def test_the_digest_of_a_part_changes_with_whatever_chooses_its_images(config, small):
    def digests(**changes):
        uses = ("training", "validation", "testing")
        return [each.digest for each in dataset_inputs(config.dataset.model_copy(update=changes), small, uses)]

    training, validation, testing = digests()
    assert digests(train_size=600)[1:] == [validation, testing]
    assert digests(validation_size=300)[2] == testing
    different = [digests(**{key: 300}) for key in ("train_size", "validation_size", "split_seed")]
    assert training not in [each[0] for each in different]
    assert validation not in [each[1] for each in different[1:]]


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
            "--storage=postgresql+psycopg://me:sec:ret@host/db is unavailable",
            "--storage=postgresql+psycopg://me:***@host/db is unavailable",
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
def test_a_run_id_that_would_lead_to_another_folder_is_refused(run_id):
    with pytest.raises(BadInputError, match="run id"):
        work_folder("sweeps", run_id)
