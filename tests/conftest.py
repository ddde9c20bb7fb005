"""Fixtures shared by all tests: real slices of the real data, an empty project folder, the command."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.config import DatasetConfig, RunConfig
from harness.data import Splits, load_splits

SMALL = DatasetConfig(train_size=640, validation_size=320)


@pytest.fixture(scope="session")
def small() -> Splits:
    return load_splits(SMALL, "cpu")


@pytest.fixture
def config() -> RunConfig:
    return RunConfig(dataset=SMALL, threads=1)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


COMMAND = [sys.executable, "-c", "from experiments.cli import main; main()"]


@pytest.fixture
def harness(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return command


@pytest.fixture
def harness_started(project: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """The command in the background, in a process group of its own."""
    started: list[subprocess.Popen[str]] = []

    def command(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield command
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def harness_json(harness: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., object]:
    def command(*arguments: str) -> object:
        result = harness(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return command
