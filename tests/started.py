"""The command in a process of its own, forked from a server that has imported what it needs and done nothing."""

import importlib
import multiprocessing
import multiprocessing.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

from tests.database import copies_of, fresh_database

IMPORTED = (  # also what --data-dir, the end of a sweep and a server bring
    "mlflow.store.tracking.sqlalchemy_store",
    "studies.sweep",
    "reports.page",
    "torchvision.datasets",
    "studies.search.importance",
    "mlflow.cli",
    "studies.executors.preloaded",  # the last, as for workers, whose server it also is
)


@dataclass
class Started:
    """The command in the background, in a process group of its own; what it prints goes to a file."""

    process: BaseProcess
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
        """Send the signal to the whole process group, as a terminal or a supervisor does."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def end_with(self, code: int) -> str:
        """Check that the command ends with this exit code and without a traceback; return the printed text."""
        self.process.join(timeout=300)
        printed = self.printed.read_text()
        assert (self.process.exitcode, "Traceback" in printed) == (code, False), printed
        return printed


def begin_server() -> None:
    """Begin the server once in a test process, before an executor begins one with fewer imports."""
    _ensure_running(IMPORTED)


def begin_server_of_workers() -> None:
    """Fork, from this process as it is, the server that a local executor would begin with imports of its own."""
    with mock.patch.object(multiprocessing.util, "spawnv_passfds", _fork):
        _ensure_running(())


def start(
    module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], printed: Path
) -> Started:
    """Start `main` of the module."""
    process = forked(_run, module, arguments, folder, dict(environment), printed, fresh_database())
    return Started(process, printed)


def forked(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process that calls the function and has its imports already."""
    begin_server()
    process = _server().Process(target=function, args=arguments)
    process.start()
    return process


def run_anew(*arguments: str, memory: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process that inherits nothing, to its end; with so many bytes of memory of its own at most."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({memory}, {memory}))\n" if memory else ""
    command = [sys.executable, "-c", f"{limit}from experiments.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def _server() -> BaseContext:
    return multiprocessing.get_context("forkserver")  # which Windows lacks


def _ensure_running(preloaded: Sequence[str]) -> None:
    from multiprocessing import forkserver

    _server().set_forkserver_preload(list(preloaded))
    forkserver.ensure_running()


def _fork(_: str, arguments: Sequence[str], kept: Sequence[int]) -> int:
    """A copy of this process that does what Python would with these arguments, of which the last is a program."""
    child = os.fork()
    if child == 0:
        try:
            for last, following in pairwise((2, *sorted(kept), os.sysconf("SC_OPEN_MAX"))):
                os.closerange(last + 1, following)
            exec(arguments[-1], {})
        finally:
            os._exit(0)
    return child


def _run(
    module: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    printed: Path,
    database: bytes,
) -> None:
    os.setsid()
    # as from a terminal: a shell that started the tests with & would hand down that Ctrl-C is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with printed.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["harness", *arguments]
    with copies_of(database):
        importlib.import_module(module).main()
