"""Where slices execute, in this process or in workers: `concurrent.futures` executors, nothing of our own."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.run import OpenRun, SliceResult, train_slice


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


@dataclass
class WorkerPool:
    """An executor, how many slices it can have in flight, where its workers find the data, and how to begin anew."""

    executor: Executor
    workers: int
    data_dir: Path | None = None
    renew: Callable[[], Executor] = InlineExecutor

    def submit(self, run: OpenRun) -> Future[SliceResult]:
        """The run's next slice. Where a worker has died in the meantime, the future holds that."""
        try:
            return self.executor.submit(train_slice, run.config, run.checkpoint.state, run.splits, self.data_dir)
        except BrokenExecutor as error:
            future: Future[SliceResult] = Future()
            future.set_exception(error)
            return future

    def replace_workers(self) -> None:
        """New workers for those of which one died: the others can't be used any more, whatever they are at."""
        _kill_workers(self.executor)
        self.executor = self.renew()


@contextlib.contextmanager
def open_pool(name: str, workers: int, data_dir: Path | None = None) -> Iterator[WorkerPool]:
    """`inline`, or `local`: `workers` spawned processes. An exception ends them at once."""

    def spawn() -> Executor:
        return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _prepare_worker)

    if name == "inline":
        yield WorkerPool(InlineExecutor(), 1, data_dir)
        return
    pool = WorkerPool(spawn(), workers, data_dir, spawn)
    try:
        yield pool
    except BaseException:
        _kill_workers(pool.executor)
        raise
    pool.executor.shutdown()


def _kill_workers(executor: Executor) -> None:
    for worker in multiprocessing.active_children():  # they ignore the SIGTERM that the executor would send
        worker.kill()
    executor.shutdown(cancel_futures=True)  # its own thread waits for them; a second one to wait would race with it


def _prepare_worker() -> None:
    # Ctrl-C and a supervisor's SIGTERM reach the whole process group; the coordinator decides what ends when
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_coordinator, daemon=True).start()


def _end_with_the_coordinator() -> None:
    coordinator = multiprocessing.parent_process()
    assert coordinator is not None, "a worker is a child process"
    coordinator.join()
    os._exit(1)
