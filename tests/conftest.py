"""Fixtures shared by all tests: real slices of the real data, an empty project folder, the command."""

import gc
import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# before torch is imported: threads that spin while they wait take the cores from the tests beside them
os.environ["OMP_WAIT_POLICY"] = "passive"

from harness.config import DatasetConfig, RunConfig, with_settings
from harness.training.data import load_splits
from harness.training.images import Splits
from tests.command import run_command
from tests.database import copies_of, fresh_database
from tests.kit import kit as kit
from tests.mnist_folder import write_small_mnist
from tests.started import Started, begin_server, start
from tests.tiny import SMALL_NETWORK
from tests.tracked import tracked as tracked

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # some tests import MLflow themselves
# one worker runs all tests of a file, which share fixtures; the longest files first, so that all workers end together
LONGEST_FIRST = (
    "test_faults.py",
    "test_browser.py",
    "test_cluster.py",
    "test_slices.py",
    "test_run.py",
    "test_own_files.py",
    "test_api.py",
)


def pytest_configure() -> None:
    gc.set_threshold(100_000, 20, 20)  # with so many modules loaded, collecting takes a tenth of the time otherwise


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (*LONGEST_FIRST, item.path.name).index(item.path.name))


@pytest.fixture(scope="session", autouse=True)
def server_of_commands(request: pytest.FixtureRequest) -> None:
    """Begin the server that starts commands, if any test needs it; it imports while the first tests run."""
    if any("harness_started" in item.fixturenames for item in request.session.items):
        begin_server()


SMALL = DatasetConfig(train_size=640, validation_size=160)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    return load_splits(SMALL, "cpu", write_small_mnist(tmp_path_factory.mktemp("small")))


FEW = DatasetConfig(train_size=210, validation_size=48)  # seven batches of 32, the last of which is not full


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    """Return a third of `small`, for tests that need only a few steps."""
    return load_splits(FEW, "cpu", write_small_mnist(tmp_path_factory.mktemp("few")))


@pytest.fixture
def config_of_few(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"dataset": FEW})


@pytest.fixture
def of_convnet() -> RunConfig:
    """Return a config of the chapter's network, which the tests of the harness train."""
    return RunConfig(dataset=SMALL, threads=1)


@pytest.fixture
def config(of_convnet: RunConfig) -> RunConfig:
    """Return a config of a small network, which trains faster, for all other tests."""
    return with_settings(of_convnet, SMALL_NETWORK)


@pytest.fixture
def data(project: Path) -> Path:
    """A small MNIST in the project's folder, relative to it."""
    return write_small_mnist(Path("data"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with copies_of(fresh_database()):
        yield tmp_path


@pytest.fixture
def harness(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command in this process."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        printed, said = io.StringIO(), io.StringIO()
        code = run_command(*arguments, printed=printed, said=said)
        return subprocess.CompletedProcess(arguments, code, printed.getvalue(), said.getvalue())

    return command


@pytest.fixture
def harness_json(harness: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., object]:
    def command(*arguments: str) -> object:
        result = harness(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return command


@pytest.fixture
def harness_started(project: Path) -> Iterator[Callable[..., Started]]:
    """Return a function that starts the command in a separate process."""
    started: list[Started] = []

    def command(*arguments: str, module: str = "experiments.cli.app", **environment: str) -> Started:
        printed = project / f"printed-{len(started)}.txt"
        started.append(start(module, arguments, project, os.environ | environment, printed))
        return started[-1]

    yield command
    for each in started:
        each.kill()
