"""The command in a process of its own, forked from a server that has imported torch and MLflow and done nothing."""

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["mlflow.store.tracking.sqlalchemy_store", "harness.run", "studies.sweep", "reports.page"]
)


@dataclass
class Started:
    """The command in the background, in a process group of its own; what it prints goes to a file."""

    process: ForkServerProcess
    printed: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None, "it was started"
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.exitcode is None

    def wait_for(self, text: str, times: int = 1) -> None:
        while not self.printed.exists() or self.printed.read_text().count(text) < times:
            assert self.running, self.printed.read_text()
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """As a terminal or a supervisor sends it."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def end_with(self, code: int) -> str:
        """What was printed. It must end with that exit code, and without a traceback."""
        self.process.join(timeout=300)
        printed = self.printed.read_text()
        assert (self.process.exitcode, "Traceback" in printed) == (code, False), printed
        return printed


def start(
    module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], printed: Path
) -> Started:
    """`main` of that module."""
    process = SERVER.Process(target=_run, args=(module, arguments, folder, dict(environment), printed))
    process.start()
    return Started(process, printed)


def run_anew(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process that inherits nothing, to its end. `options` are those of `subprocess.run`."""
    command = [sys.executable, "-c", "from experiments.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def _run(module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], printed: Path) -> None:
    os.setsid()
    # as from a terminal: a shell that started the tests with & would hand down that Ctrl-C is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with printed.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["harness", *arguments]
    importlib.import_module(module).main()
