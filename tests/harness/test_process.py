"""Whoever imports the project, or asks the store with it, finds the process as it was."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow import environment_variables as of_mlflow
from mlflow.exceptions import MlflowException

from harness.errors import BadInputError
from harness.records import Outcome, Stage, Tag
from harness.tracking.connection import connect
from harness.tracking.defaults import LEVELS, VARIABLES, our_defaults
from harness.tracking.mlflow import MlflowTracker
from tests.database import fresh_database

ROOT = Path(__file__).parent.parent.parent
# what other libraries do when they are imported is theirs, so they come first
IMPORTS = """
import logging, os, sys, warnings
import matplotlib.pyplot, optuna, pandas, PIL.Image, scipy.ndimage, scipy.stats
import seaborn, sqlalchemy, torch, torchvision

def now():
    loggers = {name: logger.level for name, logger in logging.root.manager.loggerDict.items()
               if isinstance(logger, logging.Logger)}
    return dict(os.environ), logging.root.level, loggers, list(warnings.filters)

def changed(before, after):
    new = {name: level for name, level in after[2].items() if name not in before[2] and level}
    old = {name: level for name, level in before[2].items() if after[2][name] != level}
    return [before[0] != after[0], before[1] != after[1], new, old, before[3] != after[3]]

before = now()
import harness.run, harness.export, harness.tracking.mlflow, studies.sweep, reports.page
assert changed(before, now()) == [False, False, {}, {}, False], changed(before, now())
assert "mlflow" not in sys.modules, "which changes loggers of its own"
import harness.tracking.defaults
harness.tracking.defaults.import_pytorch_flavour()
assert (logging.root.level, logging.root.handlers) == (before[1], []), logging.root.handlers

environment = dict(os.environ)
from harness.tracking.mlflow import MlflowTracker
MlflowTracker().start_run("tiny", "a run", {}, {})
from mlflow.telemetry import get_telemetry_client
assert get_telemetry_client() is None
assert dict(os.environ) == environment
"""


@pytest.mark.slow
def test_an_import_leaves_the_process_unchanged_and_disables_mlflows_telemetry(project):
    environment = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    environment |= {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(project)}
    (project / "mlflow.db").write_bytes(fresh_database())  # which MLflow would take seconds to make
    command = [sys.executable, "-W", "ignore", "-c", IMPORTS]
    ended = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def mlflows_own():
    """Return the environment, MLflow's defaults, and the lowest level that its loggers print."""
    variables = {name: getattr(of_mlflow, name).get() for name in VARIABLES}
    return dict(os.environ), variables, {name: lowest_level(logging.getLogger(name)) for name in LEVELS}


def lowest_level(logger):
    levels = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
    records = {level: logging.makeLogRecord({"name": logger.name, "levelno": level}) for level in levels}
    return next(level for level in levels if logger.isEnabledFor(level) and logger.filter(records[level]))


@pytest.fixture
def tries(monkeypatch):
    """Return the list of retries that each request may make; no request reaches a server."""
    tries = []

    def refuse(method, url, max_retries, *_, **__):
        tries.append(max_retries)
        raise ConnectionError("away")

    monkeypatch.setattr("mlflow.utils.rest_utils._get_http_response_with_retries", refuse)
    return tries


def test_our_requests_are_sent_once_and_requests_of_others_are_retried_as_usual(project, tries):
    usual = of_mlflow.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()
    with pytest.raises(BadInputError, match="can't be reached"):
        connect("http://127.0.0.1:1")
    with pytest.raises(MlflowException):
        MlflowClient("http://127.0.0.1:1").get_run("one")
    assert tries == [0, usual]
    assert usual > 0


def test_the_users_number_of_retries_is_respected(project, tries, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    with pytest.raises(BadInputError, match="can't be reached"):
        connect("http://127.0.0.1:2")
    assert tries == [3]


def test_mlflows_defaults_are_restored_after_each_call_and_each_watched_run(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    before = mlflows_own()
    tracker = MlflowTracker()
    assert mlflows_own() == before
    run_id = tracker.start_run("tiny", "a run", {}, {Tag.STAGE: Stage.RUN})
    assert mlflows_own()[1] == VARIABLES, "a thread of MLflow's asks the store"
    tracker.end_run(run_id, Outcome.COMPLETED)
    assert mlflows_own() == before
    with pytest.raises(MlflowException):
        tracker._client.get_run("none")
    assert mlflows_own() == before


def test_the_outermost_block_restores_mlflows_defaults():
    before = mlflows_own()
    with our_defaults:
        with our_defaults:
            pass
        assert mlflows_own()[1:] == (VARIABLES, LEVELS)
    assert mlflows_own() == before
