"""Many runs are read together, from a database and through a server, and are what they are one by one."""

import functools
import json
import math
from types import SimpleNamespace

import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.utils.rest_utils import http_request

from harness.errors import BadInputError
from harness.records import (
    IMPORTANCES_ARTIFACT,
    MISTAKES_ARTIFACT,
    WINDOW_ACCURACY,
    WINDOW_LOSS,
    MetricRow,
    Mistakes,
    Stage,
    Tag,
)
from harness.tracking import histories
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import find_artifact, read_artifact, read_sweep, read_tracked_run
from tests.many_runs import make_sweep
from tests.servers import MlflowServer

pytestmark = pytest.mark.slow

RUNS = 65
EPOCHS = 3
POINTS = 10 + 7 + 7 + EPOCHS  # within the first epoch and the two others, and at their ends
WINDOWS = 16 * EPOCHS
NOT_READ = {WINDOW_LOSS, WINDOW_ACCURACY}  # of trials; of finals the losses are


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The folder of a store with a sweep, the sweep's id, and the address of a server on it."""
    folder = tmp_path_factory.mktemp("store")
    sweep_id = make_sweep(folder, RUNS, EPOCHS)
    server = MlflowServer(folder, f"sqlite:///{folder}/mlflow.db")
    server.start()
    yield SimpleNamespace(folder=folder, sweep_id=sweep_id, url=server.url)
    server.kill()


@pytest.fixture(params=["database", "server"])
def sweep_id(request, store, project, monkeypatch) -> str:
    address = {"database": f"sqlite:///{store.folder}/mlflow.db", "server": store.url}[request.param]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return store.sweep_id


@pytest.fixture
def server(store, project, monkeypatch) -> str:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.url)
    return store.sweep_id


def own_experiment() -> str:
    """Return a separate experiment for each address, since a database can't reach a server's artifacts."""
    return f"of {tracking_uri()}"


@functools.cache
def one_by_one(address: str, run_id: str):
    """A run and its history as MLflow's client gives them, which takes a request for each metric."""
    client = connect(address)
    run = client.get_run(run_id)
    return run, {
        name: {point.step: point.value for point in client.get_metric_history(run_id, name)}
        for name in run.data.metrics
    }


def assert_whole(sweep_id: str):
    """The sweep as it is read is what its runs are one by one."""
    sweep, children = read_sweep(sweep_id)
    assert sweep.run_id == sweep_id
    assert len(children) == RUNS > histories.AT_ONCE
    assert {len(values) for run in children for values in run.history.values()} == {EPOCHS, POINTS, WINDOWS}
    assert {len(run.history) for run in children} == {9, 12}
    for run in children:
        stored, history = one_by_one(tracking_uri(), run.run_id)
        not_read = NOT_READ - {WINDOW_LOSS} if run.tags[Tag.STAGE] == Stage.FINAL else NOT_READ
        assert run.history == {name: each for name, each in history.items() if name not in not_read}
        assert (run.tags, run.params) == (stored.data.tags, stored.data.params)
        assert (run.name, run.status) == (stored.info.run_name, stored.info.status)


def test_a_sweep_read_in_several_requests_equals_its_runs_read_one_by_one(sweep_id):
    assert_whole(sweep_id)


def test_repeated_and_non_finite_values_are_read_as_one_by_one(sweep_id):
    tracker = MlflowTracker()
    run_id = tracker.start_run(own_experiment(), "one", {}, {})
    for step, value in ((1, 0.5), (2, 0.1 + 0.2), (1, 0.25), (3, math.nan), (4, math.inf)):
        tracker.log_rows(run_id, [MetricRow("train/loss", value, step)])
    history = read_tracked_run(run_id).history["train/loss"]
    assert repr(history) == repr(one_by_one(tracking_uri(), run_id)[1]["train/loss"])
    assert history[2] == 0.1 + 0.2
    assert math.isnan(history[3])


def test_a_run_without_metrics_has_an_empty_history(sweep_id):
    run_id = MlflowTracker().start_run(own_experiment(), "none", {}, {})
    assert read_tracked_run(run_id).history == {}


def test_a_server_answer_that_may_lack_rows_is_not_used(server, monkeypatch):
    monkeypatch.setattr(histories, "MOST_POINTS", histories.AT_ONCE * EPOCHS - 1)
    assert_whole(server)


def test_a_server_without_bulk_reading_is_asked_for_each_run(server, monkeypatch):
    answers = []

    def without_that_page(host_creds, endpoint, method, **options):
        answer = http_request(host_creds, endpoint.replace("get-history-bulk", "no-such-page"), method, **options)
        answers.append(answer.status_code)
        return answer

    monkeypatch.setattr("mlflow.utils.rest_utils.http_request", without_that_page)
    assert_whole(server)
    assert 404 in answers


def test_the_parts_of_mlflow_that_read_many_runs_at_once_are_unchanged(sweep_id, monkeypatch):
    """Fail if MLflow has changed its table or the address of its pages; reading is then correct but slow."""

    def asked_one_by_one(*_):
        pytest.fail("MLflow's table, or the address that its pages ask, is another now")

    monkeypatch.setattr("mlflow.MlflowClient.get_metric_history", asked_one_by_one)
    assert {len(run.history) for run in read_sweep(sweep_id)[1]} == {9, 12}


ROW = ("run_uuid", "key", "step", "value", "is_nan", "timestamp")


@pytest.mark.parametrize(
    "table",
    [None, object(), sqlalchemy.table("elsewhere", *map(sqlalchemy.column, ROW)).c],
    ids=["no class", "no columns", "no table"],
)
def test_a_database_with_an_unexpected_table_is_read_through_mlflows_client(store, project, monkeypatch, table):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store.folder}/mlflow.db")
    if table is None:
        monkeypatch.delattr("mlflow.store.tracking.dbmodels.models.SqlMetric")
    else:
        monkeypatch.setattr("mlflow.store.tracking.dbmodels.models.SqlMetric", table)
    assert_read_one_by_one(store.sweep_id, monkeypatch)


@pytest.mark.parametrize(
    "page",
    ["/no-such-page", "/health", "/ajax-api/2.0/mlflow/experiments/search?max_results=1"],
    ids=["not there", "no JSON", "other JSON"],
)
def test_a_server_with_an_unexpected_answer_is_read_through_mlflows_client(server, monkeypatch, page):
    def other(host_creds, endpoint, method, **options):
        return http_request(host_creds, page if "get-history-bulk" in endpoint else endpoint, method, **options)

    monkeypatch.setattr("mlflow.utils.rest_utils.http_request", other)
    assert_read_one_by_one(server, monkeypatch)


def assert_read_one_by_one(sweep_id, monkeypatch):
    """A run of the sweep is read as it was recorded, by asking MLflow's client for each of its metrics."""
    client, asked, ask = connect(tracking_uri()), [], MlflowClient.get_metric_history
    experiment = client.get_run(sweep_id).info.experiment_id
    (final,) = client.search_runs([experiment], "tags.`harness.stage` = 'final'", max_results=1)
    _, expected = one_by_one(tracking_uri(), final.info.run_id)

    def history(self, run_id, name):
        asked.append(name)
        return ask(self, run_id, name)

    monkeypatch.setattr(MlflowClient, "get_metric_history", history)
    assert read_tracked_run(final.info.run_id).history == expected
    assert sorted(asked) == sorted(final.data.metrics)


def test_a_missing_artifact_is_none(sweep_id):
    _, children = read_sweep(sweep_id)
    found = {run.run_id: find_artifact(run.run_id, MISTAKES_ARTIFACT) for run in children}
    with_mistakes = [run for run in children if found[run.run_id] is not None]
    assert {run.tags["harness.stage"] for run in with_mistakes} == {"final"}
    assert len(with_mistakes) == 25
    assert all(len(Mistakes.model_validate_json(found[run.run_id]).most_confident) == 20 for run in with_mistakes)
    assert json.loads(find_artifact(sweep_id, IMPORTANCES_ARTIFACT)).keys() >= {"adam", "sgd"}

    tracker = MlflowTracker()
    run_id = tracker.start_run(own_experiment(), "with a file", {}, {})
    assert find_artifact(run_id, "folder/file.bin") is None
    tracker.log_artifact(run_id, "folder/file.bin", b"\x00\xff")
    assert find_artifact(run_id, "folder/file.bin") == b"\x00\xff"
    assert find_artifact(run_id, "folder/other.bin") is None
    assert find_artifact(run_id, "folder") is None
    with pytest.raises(BadInputError, match="unknown"):
        find_artifact("0" * 32, "folder/file.bin")


def test_artifacts_of_a_database_written_through_a_server_are_refused(server, store, monkeypatch):
    tracker = MlflowTracker()
    run_id = tracker.start_run("through the server", "with a file", {}, {})
    tracker.log_rows(run_id, [MetricRow("train/loss", 0.5, 1)])
    tracker.log_artifact(run_id, "file.bin", b"content")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store.folder}/mlflow.db")
    assert read_tracked_run(run_id).history["train/loss"] == {1: 0.5}
    for refused in (
        lambda: MlflowTracker().start_run("through the server", "another", {}, {}),
        lambda: read_artifact(run_id, "file.bin"),
        lambda: find_artifact(run_id, "file.bin"),
    ):
        with pytest.raises(BadInputError, match=r"written through an MLflow server.* set MLFLOW_TRACKING_URI"):
            refused()
