"""The sweep that the tests of faults disturb, and what it ends with when nobody does."""

import os
from pathlib import Path

import pytest

from harness.tracking.read import latest_sweep
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool
from studies.sweep import run_sweep
from tests import tiny
from tests.memory_tracker import MemoryTracker
from tests.metrics import assert_whole, sweep_numbers, tracked_sweep_numbers
from tests.mnist_folder import write_small_mnist


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The numbers of `tiny`, run in this process from its beginning to its end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    data = write_small_mnist(folder / "data")
    here = Path.cwd()
    os.chdir(folder)
    tracker = MemoryTracker()
    run_sweep("tiny", tiny.definition(), tracker, WorkerPool(InlineExecutor(), 1, data))
    os.chdir(here)
    return sweep_numbers(tracker)


@pytest.fixture
def sweep(harness_started, data):
    """Starts the sweep, the same one every time."""
    return lambda *more, **environment: harness_started(
        *tiny.ARGUMENTS, "--workers", "2", *more, module="tests.tiny", **environment
    )


@pytest.fixture
def assert_nothing_lost(undisturbed):
    """The latest sweep has the numbers of an undisturbed one, and each epoch of each run once."""

    def check():
        assert tracked_sweep_numbers(latest_sweep()) == undisturbed
        assert_whole(latest_sweep(), tiny.definition().total_epochs)

    return check
