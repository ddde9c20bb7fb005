"""Real servers on 127.0.0.1, started and killed by tests."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.started import start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """MLflow's server in a process group of its own, on the store of that address."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.store = store
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        arguments += ["--artifacts-destination", str(self.folder / "server-artifacts")]
        environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_BACKEND_STORE_URI": self.store}
        printed = self.folder / "mlflow-server.log"
        self._started = start("tests.mlflow_server", arguments, self.folder, os.environ | environment, printed)
        while not _answers(f"{self.url}/health"):
            assert self._started.running, printed.read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        if self._started.running:
            self._started.signal_group(signal.SIGKILL)
        self._started.kill()


@contextlib.contextmanager
def optuna_dashboard(folder: Path, storage: str) -> Iterator[str]:
    """The address of `optuna-dashboard` on the storage, started in that folder."""
    home = {"HOME": str(folder)}  # where its web server keeps a socket
    with _served(folder, ["optuna-dashboard", storage], "/api/meta", home) as url:
        yield url


@contextlib.contextmanager
def served_model(folder: Path, model: str, **environment: str) -> Iterator[str]:
    """The address of `mlflow models serve` of a model, started in that folder."""
    command = ["mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # it starts uvicorn by its name
    with _served(folder, command, "/ping", {"PATH": path} | environment) as url:
        yield url


@contextlib.contextmanager
def harness_ui(folder: Path) -> Iterator[str]:
    """The address of `harness ui` in that folder."""
    with _served(folder, ["harness", "ui"], "/health", {}, folder / ".harness" / "ui.log") as url:
        yield url


@contextlib.contextmanager
def _served(
    folder: Path, command: list[str], page: str, environment: dict[str, str], printed: Path | None = None
) -> Iterator[str]:
    """The address of that command's server, once it answers on the page."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = str(Path(sys.executable).parent / command[0])
    printed = printed or folder / f"{command[0]}.log"
    with printed.open("wb") as log:
        server = subprocess.Popen(
            [program, *command[1:], "--port", str(port)],
            cwd=folder,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        while not _answers(url + page):
            assert server.poll() is None, printed.read_text(encoding="utf-8")
            time.sleep(0.1)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


class RayCluster:
    """A Ray head without a CPU, and worker nodes with one each, every one of them processes of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder  # a short path: sockets are in it
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}  # as whoever joins needs it
        self.nodes: list[subprocess.Popen[bytes]] = []
        self._start("--head", "--port", self.address.split(":")[1], "--num-cpus", "0", "--include-dashboard", "false")

    def add_node(self) -> None:
        self._start("--address", self.address, "--num-cpus", "1")

    def kill_node(self, number: int) -> None:
        """All processes of that node at once; the head is number 0."""
        node = self.nodes[number]
        if node.poll() is not None:
            return
        family = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        node.wait()
        psutil.wait_procs(family)

    def kill(self) -> None:
        for number in range(len(self.nodes) - 1, -1, -1):
            self.kill_node(number)

    def _start(self, *options: str) -> None:
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--node-ip-address", "127.0.0.1"]
        limits = ["--object-store-memory", "100000000", "--disable-usage-stats"]
        folder = ["--temp-dir", str(self.folder)] if "--head" in options else []
        printed = self.folder / f"node-{len(self.nodes)}.log"
        with printed.open("wb") as log:
            node = subprocess.Popen(
                [*command, *options, *limits, *folder],
                env=os.environ | self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.nodes.append(node)
        while "--block" not in printed.read_text():  # said when it is up
            assert node.poll() is None, printed.read_text()
            time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
