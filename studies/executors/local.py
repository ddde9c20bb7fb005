"""Slices in processes of this machine, which end with the coordinator, however that ends."""

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
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import torch

from harness.training.determinism import give_back_freed_memory
from studies.executors.resources import Asked

SAFE_PATH = "PYTHONSAFEPATH"  # Python's own switch
MOST_ON_WINDOWS = 61  # processes that a pool there can wait for


class LocalExecutor(ProcessPoolExecutor):
    """Processes on this machine, which end with the coordinator, however that ends.

    Results come through files, and only their paths through the pool's pipe: a worker that is killed while it sends
    more than a pipe takes at once leaves half a message there, for the rest of which the pool would wait for ever.
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers, _context(), _prepare_worker)
        self._folder = tempfile.TemporaryDirectory(prefix="harness-results-")

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """The call's future. It raises what the function raised, and BrokenExecutor where a worker died."""
        future: Future[Any] = Future()
        done = super().submit(_call_into_file, Path(self._folder.name), fn, *args, **kwargs)
        done.add_done_callback(functools.partial(_pass_on, to=future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the slices in flight; with `cancel_futures`, kill the workers whatever they are at."""
        if cancel_futures:
            for worker in multiprocessing.active_children():  # they ignore the SIGTERM that the pool would send
                worker.kill()
        # the pool's own thread waits for them; a second one to wait would race with it
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._folder.cleanup()


def begin_locally(asked: Asked) -> tuple[Callable[[], Executor], int]:
    """Return what makes the executor, and how many workers it has.

    By default one a core, or as many as the GPU of the slices has shares: side by side they were measured to be no
    sooner than one after the other.
    """
    share = asked.resources.gpus if asked.resources else 0.0
    workers = asked.workers or (max(1, int(1 / share)) if share else os.cpu_count()) or 1
    workers = min(workers, MOST_ON_WINDOWS) if sys.platform == "win32" else workers
    return functools.partial(LocalExecutor, workers), workers


def _context() -> BaseContext:
    """How workers begin. On Linux they share the memory of a process, started here, that imports what they need."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["studies.executors.preloaded"])
    with current_folder_last():
        forkserver.ensure_running()  # it imports beside what the coordinator does until it needs a worker
    return context


@contextlib.contextmanager
def current_folder_last() -> Iterator[None]:
    """Have a process that begins now not look there for Python's modules: a user's own may be called `random.py`.

    Workers look where the coordinator does, which has that folder last.
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


def _call_into_file(folder: Path, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Path | None, Any]:  # noqa: ANN401
    """Where the pickled result is; or the result itself where no file can be written: a full disk loses no slice."""
    result = fn(*args, **kwargs)
    give_back_freed_memory()  # the worker's next slice may be of another batch size
    path = folder / uuid.uuid4().hex
    try:
        path.write_bytes(pickle.dumps(result))
    except OSError:
        path.unlink(missing_ok=True)
        return None, result
    return path, None


def _pass_on(done: Future[tuple[Path | None, Any]], to: Future[Any]) -> None:
    try:
        path, result = done.result()
        if path is not None:
            result = pickle.loads(path.read_bytes())  # in a folder that only this user's processes can write to
            path.unlink()
    except Exception as error:
        to.set_exception(error)
    else:
        to.set_result(result)


def _prepare_worker() -> None:
    torch.set_num_threads(1)  # a slice has its config's; all else would have every worker's threads on every core
    # Ctrl-C and a supervisor's SIGTERM reach the whole process group; the coordinator decides what ends when
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_coordinator, daemon=True).start()


def _end_with_the_coordinator() -> None:
    coordinator = multiprocessing.parent_process()
    assert coordinator is not None, "a worker is a child process"
    coordinator.join()
    os._exit(1)
