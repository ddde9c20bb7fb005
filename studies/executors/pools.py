"""Where slices execute, in this process, in workers or on a cluster: `concurrent.futures` executors, no engine."""

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
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import torch

from harness.errors import unknown
from harness.run import OpenRun, SliceResult, train_slice
from harness.training.determinism import give_back_freed_memory
from studies.executors.ray import RayExecutor, Resources, connect, slices_at_a_time

EXECUTORS = ("inline", "local", "ray")
SAFE_PATH = "PYTHONSAFEPATH"  # Python's own switch
MOST_ON_WINDOWS = 61  # processes that a pool there can wait for


class InlineExecutor(Executor):
    """One slice at a time, in this process, done when `submit` returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Call now; the future is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


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


@dataclass
class WorkerPool:
    """An executor, how many slices it can have in flight, where its workers find the data, and how to begin anew."""

    executor: Executor
    workers: int
    data_dir: Path | None = None
    renew: Callable[[], Executor] = InlineExecutor

    def submit(self, run: OpenRun) -> Future[SliceResult]:
        """The run's next slice. Where a worker has died in the meantime, the future holds that."""
        what = run.config, run.checkpoint.state, run.splits, self.data_dir, run.origin
        try:
            return self.executor.submit(train_slice, *what)
        except BrokenExecutor as error:
            future: Future[SliceResult] = Future()
            future.set_exception(error)
            return future

    def replace_workers(self) -> None:
        """New workers for those of which one died: the others can't be used any more, whatever they are at."""
        self.executor.shutdown(cancel_futures=True)
        self.executor = self.renew()


@contextlib.contextmanager
def open_pool(
    name: str,
    workers: int | None = None,
    data_dir: Path | None = None,
    resources: Resources | None = None,
    ray_address: str | None = None,
) -> Iterator[WorkerPool]:
    """A pool of so many workers: by default one a core, or as many as a Ray cluster has room for.

    An exception ends what is in flight at once. `resources` and `ray_address` are of `ray` alone.

    Raises:
        BadInputError: no such executor, no such cluster, or a slice finds room on none of its nodes.
    """
    begin: Callable[[], Executor]
    if name == "inline":
        begin, workers = InlineExecutor, 1
    elif name == "local":
        workers = workers or os.cpu_count() or 1
        workers = min(workers, MOST_ON_WINDOWS) if sys.platform == "win32" else workers
        begin = functools.partial(LocalExecutor, workers)
    elif name == "ray":
        needed = resources or Resources()
        connect(ray_address)
        room = slices_at_a_time(needed)
        workers = workers or room
        begin = functools.partial(RayExecutor, needed)
    else:
        raise unknown("executor", name, EXECUTORS, "choose one with --executor")
    pool = WorkerPool(begin(), workers, data_dir, begin)
    try:
        yield pool
    except BaseException:
        pool.executor.shutdown(cancel_futures=True)
        raise
    pool.executor.shutdown()


def _context() -> BaseContext:
    """How workers begin. On Linux they share the memory of a process, started here, that imports what they need."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["studies.executors.pools.preloaded"])
    with _current_folder_last():
        forkserver.ensure_running()  # it imports beside what the coordinator does until it needs a worker
    return context


@contextlib.contextmanager
def _current_folder_last() -> Iterator[None]:
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
