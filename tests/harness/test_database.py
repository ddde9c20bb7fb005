"""MLflow's SQLite file is read without MLflow, as its client reads it; what is unexpected is left to the client."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from harness.records import CONFIG_ARTIFACT, MetricRow, Stage, Tag
from harness.tracking import database, read
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import (
    find_artifact,
    find_running,
    find_sweeps,
    latest_sweep,
    read_artifact,
    read_definition,
    read_sweep,
    read_tracked_run,
)

LOOK = """
import sys
sys.argv = ["harness", *{arguments}]
from experiments.cli import main
try:
    main()
finally:
    loaded = set({heavy}) & sys.modules.keys()
    assert not loaded, loaded
"""
HEAVY = ["torch", "optuna", "mlflow", "sqlalchemy", "scipy", "networkx", "matplotlib"]
LIGHT = [*HEAVY, "pandas", "numpy", "harness.config"]


@pytest.fixture
def store(tracked, monkeypatch):
    monkeypatch.chdir(tracked.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tracked


@pytest.fixture
def alone(monkeypatch):
    """Pretend that MLflow is not loaded, and refuse to ask its client."""

    def refuse(*_):
        pytest.fail("MLflow's client was asked")

    def begin():
        monkeypatch.setattr(read, "is_loaded", lambda: False)
        monkeypatch.setattr(read, "connect_to_read", refuse)

    return begin


READS = {
    "latest sweep": lambda _: latest_sweep(),
    "sweep": lambda store: read_sweep(store.sweep),
    "definition": lambda store: read_definition(store.sweep),
    "run": lambda store: [read_tracked_run(each) for each in (store.run, store.stopped, store.final)],
    "sweeps": lambda _: find_sweeps("optimizers"),
    "no sweeps": lambda _: find_sweeps("none"),
    "running": lambda _: find_running(),
    "artifact": lambda store: read_artifact(store.run, CONFIG_ARTIFACT),
    "artifacts, if any": lambda store: [find_artifact(store.run, each) for each in (CONFIG_ARTIFACT, "no", "a/b")],
}


@pytest.mark.parametrize("what", READS)
def test_values_read_without_mlflow_equal_those_of_its_client(store, alone, what):
    of_client = READS[what](store)
    alone()
    assert READS[what](store) == of_client


def test_running_and_deleted_runs_are_read_as_by_mlflows_client(project, alone):
    tracker, client = MlflowTracker(), connect(tracking_uri())
    runs = [tracker.start_run("tiny", "", {}, {Tag.STAGE: Stage.SWEEP, Tag.SEQUENCE: each}) for each in "132"]
    for value in (0.5, float("nan"), float("inf")):
        tracker.log_rows(runs[0], [MetricRow("train/loss", value, 1)])
    client.delete_run(runs[1])
    found = lambda: (find_running(), find_sweeps("tiny"), latest_sweep(), repr(read_tracked_run(runs[0]).history))  # noqa: E731
    of_client = found()
    assert [each.run_id for each in of_client[1]] == [runs[2], runs[0]]
    alone()
    assert found() == of_client


def test_an_unexpected_table_is_left_to_mlflows_client(store, monkeypatch):
    of_client = read_sweep(store.sweep)
    monkeypatch.setattr(read, "is_loaded", lambda: False)
    monkeypatch.setattr(database, "RUNS", "SELECT run_uuid FROM renamed WHERE {condition}")
    assert database.running(store.folder / "mlflow.db") is None
    assert (read_sweep(store.sweep), latest_sweep()) == (of_client, store.sweep)


def test_the_database_of_a_folder_that_was_moved_is_left_to_mlflows_client(store, project, monkeypatch):
    moved = project / "moved"
    shutil.copytree(store.folder, moved)
    monkeypatch.chdir(moved)
    assert database.run_of(Path("mlflow.db"), store.run) is None
    monkeypatch.setattr(read, "is_loaded", lambda: False)
    assert read_artifact(store.run, CONFIG_ARTIFACT)
    assert database.run_of(Path("mlflow.db"), store.run).location.startswith(moved.as_uri())


def test_a_file_that_is_not_a_database_is_left_to_mlflows_client(project):
    (project / "mlflow.db").write_text("no database")
    assert database.sweeps(project / "mlflow.db") is None
    with closing(sqlite3.connect(project / "empty.db")) as empty:
        empty.execute("VACUUM")
    assert database.sweeps(project / "empty.db") is None


@pytest.mark.parametrize(
    ("folder", "address"),
    [
        ("a", "sqlite:///{}/mlflow.db"),
        ("a b", "sqlite:///{}/mlflow.db"),
        ("a%20?b", None),
        ("a%3Fb", None),
    ],
)
def test_the_database_file_of_an_sqlite_address_is_found(project, monkeypatch, folder, address):
    place = project / folder
    place.mkdir()
    (place / "mlflow.db").touch()
    monkeypatch.chdir(place)
    uri = address.format(place) if address else tracking_uri()
    assert database.database_file(uri) == place / "mlflow.db"


@pytest.mark.parametrize(
    "address",
    ["http://localhost:5000", "postgresql://here/mlflow.db", "sqlite:///", "sqlite:///no.db", "sqlite:///no.db?a=b"],
)
def test_any_other_address_has_no_database_file(project, address):
    assert database.database_file(address) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["list"], LIGHT),
        (["--help"], LIGHT),
        (["status"], HEAVY),
        (["leaderboard"], HEAVY),
        (["leaderboard", "--json"], HEAVY),
        (["compare", "TRIAL", "FINAL"], HEAVY),
    ],
    ids=["list", "help", "status", "leaderboard", "leaderboard as JSON", "compare"],
)
def test_commands_that_only_read_import_no_slow_packages(store, arguments, unneeded):
    ids = {"TRIAL": store.trial, "FINAL": store.final}
    look = LOOK.format(arguments=[ids.get(each, each) for each in arguments], heavy=unneeded)
    result = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, cwd=store.folder, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
