"""A tiny sweep, a single run and one that was stopped, tracked once for the tests that only read them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from experiments import catalog
from harness.config import with_settings
from harness.run import begin_run, broken_outcome, close_broken_run, complete_run, record_slice, train_slice
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import latest_sweep, read_sweep
from tests import tiny
from tests.command import on_a_terminal
from tests.database import copies_of, fresh_database
from tests.mnist_folder import write_small_mnist

SMALLER = {"dataset.train_size": 160, "dataset.validation_size": 80}
SWEEP = ("--data-dir", "data", "--executor", "inline")


@dataclass(frozen=True)
class Tracked:
    """What is in the store of `folder`, by run id; `screen`: what the sweep wrote to a terminal."""

    folder: Path
    sweep: str
    trial: str
    final: str
    run: str
    stopped: str
    screen: str


@contextlib.contextmanager
def tiny_sweeps() -> Iterator[None]:
    """Replace every declared sweep by one that takes a second and has a report of one figure."""
    changes = {"base": with_settings(tiny.BASE, SMALLER), "budget": 2, "trial_epochs": 1, "final_epochs": 1}
    values = {"kind": "sweep", "shows": "", "cost": "", "result": ""}
    declared = catalog.SweepExperiment(**values, sweep=(tiny.definition().model_copy(update=changes)).model_dump())
    with mock.patch.object(catalog, "load_sweep", return_value=declared), tiny.one_figure():
        yield


def track(folder: Path) -> Tracked:
    """Track the sweep and the runs in the current folder's store."""
    data = write_small_mnist(Path("data"))
    with tiny_sweeps():
        code, screen = on_a_terminal("sweep", "optimizers", *SWEEP)
    assert code == 0, screen
    tracker = MlflowTracker()
    config = with_settings(catalog.load_run("chapter"), SMALLER | {"threads": 1, "epochs": 2})
    run = begin_run(config, tracker, "chapter", data)
    complete_run(run, tracker, data)
    stopped = begin_run(config, tracker, "chapter", data)
    record_slice(tracker, stopped, train_slice(config, None, stopped.splits, data))
    stop = KeyboardInterrupt()
    close_broken_run(tracker, stopped.run_id, broken_outcome(stop), stop)
    _, children = read_sweep(latest_sweep())
    trial, final = (
        next(child.run_id for child in children if child.tags["harness.stage"] == stage)
        for stage in ("trial", "final")
    )
    return Tracked(folder, latest_sweep(), trial, final, run.run_id, stopped.run_id, screen)


@pytest.fixture(scope="session")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    return tracked_in(tmp_path_factory.mktemp("tracked"))


def tracked_in(folder: Path) -> Tracked:
    """Track the sweep and the runs in that folder's store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with copies_of(fresh_database()):
            return track(folder)
