"""Manage a sweep's workers: open an executor by its name, give it slices, and replace workers when one dies."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from pathlib import Path

from harness.errors import unknown
from harness.open_run import OpenRun
from harness.pace import SLICE_SECONDS
from harness.slices import SliceResult, train_slice
from studies.executors.inline import InlineExecutor, begin_inline
from studies.executors.local import begin_locally
from studies.executors.ray import begin_on_ray
from studies.executors.resources import Asked, Resources

# by name: a function that returns, for a request, how to make the executor and its number of slices in flight
EXECUTORS: dict[str, Callable[[Asked], tuple[Callable[[], Executor], int]]] = {
    "inline": begin_inline,
    "local": begin_locally,
    "ray": begin_on_ray,
}


@dataclass
class WorkerPool:
    """An executor, its number of slices in flight, the folder of the data, and a function that makes a new executor.

    `slice_seconds` is the intended time of a slice; it does not change what is trained.
    """

    executor: Executor
    workers: int
    data_dir: Path | None = None
    renew: Callable[[], Executor] = InlineExecutor
    slice_seconds: float = SLICE_SECONDS

    def submit(self, run: OpenRun, steps: int) -> Future[SliceResult]:
        """Submit the run's next slice, of at most `steps` steps. The future raises an error if a worker has died."""
        what = run.config, run.checkpoint.state, run.splits, self.data_dir, run.origin, steps, self.slice_seconds
        try:
            return self.executor.submit(train_slice, *what)
        except BrokenExecutor as error:
            future: Future[SliceResult] = Future()
            future.set_exception(error)
            return future

    def replace_workers(self) -> None:
        """Replace all workers after one died, since the others can't be used after that."""
        self.executor.shutdown(cancel_futures=True)
        self.executor = self.renew()


@contextlib.contextmanager
def open_pool(
    name: str,
    workers: int | None = None,
    data_dir: Path | None = None,
    resources: Resources | None = None,
    ray_address: str | None = None,
    slice_seconds: float = SLICE_SECONDS,
) -> Iterator[WorkerPool]:
    """Open a pool of workers, and shut it down at the end of the block; an exception ends its slices at once.

    By default there is one worker per core or share of a GPU, or as many as a Ray cluster has room for. `ray_address`
    is used by `ray` only.

    Raises:
        BadInputError: the executor or the cluster does not exist, or a slice needs more than any node has.
    """
    if name not in EXECUTORS:
        raise unknown("executor", name, EXECUTORS, "choose one of these")
    begin, at_a_time = EXECUTORS[name](Asked(workers, resources, ray_address))
    pool = WorkerPool(begin(), at_a_time, data_dir, begin, slice_seconds)
    try:
        yield pool
    except BaseException:
        pool.executor.shutdown(cancel_futures=True)
        raise
    pool.executor.shutdown()
