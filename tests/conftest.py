"""Fixtures shared by all tests: real slices of the real data, an empty project folder, the command."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.config import DatasetConfig, RunConfig
from harness.data import Splits, load_splits

LONGEST_FIRST = ("test_cluster.py", "test_faults.py", "test_run.py")  # so that no worker is left alone with one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST_FIRST)


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


def command_line(*arguments: str, module: str = "experiments.cli") -> list[str]:
    return [sys.executable, "-c", f"from {module} import main; main()", *arguments]


def with_tests(**environment: str) -> dict[str, str]:
    """An environment in which the package `tests` can be imported too."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)} | environment


@pytest.fixture
def harness(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_line(*arguments),
            cwd=project,
            env=with_tests(**environment),
            capture_output=True,
            text=True,
            timeout=300,
        )

    return command


@dataclass
class Started:
    """The command in the background, in a process group of its own; what it prints goes to a file."""

    process: subprocess.Popen[str]
    printed: Path

    def wait_for(self, text: str, times: int = 1) -> None:
        while self.printed.read_text().count(text) < times:
            assert self.process.poll() is None, self.printed.read_text()
            time.sleep(0.02)

    def end(self) -> tuple[int, str]:
        return self.process.wait(timeout=300), self.printed.read_text()


@pytest.fixture
def harness_started(project: Path) -> Iterator[Callable[..., Started]]:
    started: list[Started] = []

    def command(*arguments: str, module: str = "experiments.cli", **environment: str) -> Started:
        printed = project / f"printed-{len(started)}.txt"
        with printed.open("w") as file:
            process = subprocess.Popen(
                command_line(*arguments, module=module),
                cwd=project,
                env=with_tests(**environment),
                stdout=file,
                stderr=file,
                text=True,
                start_new_session=True,
                # as from a terminal: tests that a shell started with & would hand down that Ctrl-C is ignored
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        started.append(Started(process, printed))
        return started[-1]

    yield command
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def harness_json(harness: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., object]:
    def command(*arguments: str, **environment: str) -> object:
        result = harness(*arguments, "--json", **environment)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return command
