"""Execute slices in processes of this machine, which end together with the coordinator, however it ends."""

import contextlib
import functools
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.context import BaseContext, SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

import torch

from harness.training.determinism import give_back_freed_memory
from studies.executors.resources import Asked

SAFE_PATH = "PYTHONSAFEPATH"  # an environment variable of Python
MOST_ON_WINDOWS = 61  # the most processes that a process pool supports on Windows


class _SpawnedWorker(SpawnProcess):
    """A worker that ends where the pool terminates it: when another worker has died.

    Workers ignore SIGTERM. Since Python 3.12 the pool holds a lock while it waits for them, and a call can't be
    submitted without the lock.
    """

    terminate = SpawnProcess.kill


class _SpawnContext(SpawnContext):
    Process = _SpawnedWorker


if sys.platform != "win32":
    from multiprocessing.context import ForkServerContext, ForkServerProcess

    class _ForkedWorker(ForkServerProcess):
        """The same as `_SpawnedWorker`, forked from the server."""

        terminate = ForkServerProcess.kill

    class _ForkServerContext(ForkServerContext):
        Process = _ForkedWorker


class LocalExecutor(ProcessPoolExecutor):
    """A process pool on this machine whose workers end together with the coordinator, however it ends.

    Calls and results are passed in files, and only their paths through the pool's pipes. A worker killed while it
    sends a large result would leave half a message in the pipe, and the pool would wait for the other half for ever.
    Workers killed while the pool sends a large call would leave the pipe full, and Python before 3.11.5 would try to
    send the rest for ever (https://github.com/python/cpython/issues/94777).
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers, _context(), _prepare_worker)
        self._folder = tempfile.TemporaryDirectory(prefix="harness-results-")

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Return the call's future. It raises the function's error, or BrokenExecutor if a worker died."""
        future: Future[Any] = Future()
        folder = Path(self._folder.name)
        done = super().submit(_make_call, _into_file(functools.partial(fn, *args, **kwargs), folder), folder)
        done.add_done_callback(functools.partial(_pass_on, to=future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the slices in flight; with `cancel_futures`, kill the workers at once instead."""
        if cancel_futures:
            for worker in multiprocessing.active_children():
                worker.kill()
        # the pool's own thread waits for the workers; a second thread that waits would race with it
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._folder.cleanup()


def begin_locally(asked: Asked) -> tuple[Callable[[], Executor], int]:
    """Return a function that makes the executor, and the number of workers.

    By default there is one worker per core; for slices on a GPU, as many as the GPU has shares, since whole slices
    side by side on one GPU were measured to be no faster than one after the other.
    """
    share = asked.resources.gpus if asked.resources else 0.0
    workers = asked.workers or (max(1, int(1 / share)) if share else os.cpu_count()) or 1
    workers = min(workers, MOST_ON_WINDOWS) if sys.platform == "win32" else workers
    return functools.partial(LocalExecutor, workers), workers


def _context() -> BaseContext:
    """Return how workers start. On Linux they are forked from a process that has imported their modules already."""
    if sys.platform != "linux":
        return _SpawnContext()
    from multiprocessing import forkserver

    context = _ForkServerContext()
    context.set_forkserver_preload(["studies.executors.preloaded"])
    with current_folder_last():
        forkserver.ensure_running()  # its imports run while the coordinator does other work
    return context


@contextlib.contextmanager
def current_folder_last() -> Iterator[None]:
    """Keep processes that start within the block from importing modules from the current folder first.

    A user's own file there may be called `random.py`. Workers take the coordinator's search path, where the current
    folder comes last.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


@dataclass(frozen=True)
class _Passed:
    """A value on its way between the coordinator and a worker: in a file, or itself where the disk is full."""

    file: Path | None
    value: Any = None

    def take(self) -> Any:  # noqa: ANN401
        """Return the value, and delete its file."""
        if self.file is None:
            return self.value
        value = pickle.loads(self.file.read_bytes())  # the folder is writable only for processes of this user
        self.file.unlink()
        return value


def _into_file(value: Any, folder: Path) -> _Passed:  # noqa: ANN401
    path = folder / uuid.uuid4().hex
    try:
        path.write_bytes(pickle.dumps(value))
    except OSError:
        path.unlink(missing_ok=True)
        return _Passed(None, value)
    return _Passed(path)


def _make_call(call: _Passed, folder: Path) -> _Passed:
    try:
        result = call.take()()
    except Exception:
        raise
    except BaseException as error:  # such as SystemExit, with which the coordinator must not end
        raise RuntimeError(f"the code ended its process ({type(error).__name__}: {error})") from error
    give_back_freed_memory()  # the worker's next slice may have another batch size
    return _into_file(result, folder)


def _pass_on(done: Future[_Passed], to: Future[Any]) -> None:
    try:
        result = done.result().take()
    except Exception as error:
        to.set_exception(error)
    else:
        to.set_result(result)


def _prepare_worker() -> None:
    torch.set_num_threads(1)  # a slice sets its config's threads; outside slices, many threads would overload the CPU
    # Ctrl-C and a supervisor's SIGTERM reach all processes of the group; the coordinator decides when each ends
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_coordinator, daemon=True).start()


def _end_with_the_coordinator() -> None:
    coordinator = multiprocessing.parent_process()
    assert coordinator is not None, "a worker is a child process"
    coordinator.join()
    os._exit(1)
