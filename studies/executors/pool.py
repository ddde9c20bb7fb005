"""The workers of a sweep: an executor, opened by its name, given slices, and replaced when a worker dies."""

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

# by name, what makes an executor of what is asked, and how many slices it has in flight
EXECUTORS: dict[str, Callable[[Asked], tuple[Callable[[], Executor], int]]] = {
    "inline": begin_inline,
    "local": begin_locally,
    "ray": begin_on_ray,
}


@dataclass
class WorkerPool:
    """An executor, how many slices it can have in flight, where its workers find the data, and how to begin anew.

    A slice is to last `slice_seconds`; what it trains is the same, however long they are.
    """

    executor: Executor
    workers: int
    data_dir: Path | None = None
    renew: Callable[[], Executor] = InlineExecutor
    slice_seconds: float = SLICE_SECONDS

    def submit(self, run: OpenRun, steps: int) -> Future[SliceResult]:
        """Return the run's next slice, of so many steps at most. Where a worker has died, the future holds that."""
        what = run.config, run.checkpoint.state, run.splits, self.data_dir, run.origin, steps, self.slice_seconds
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
    slice_seconds: float = SLICE_SECONDS,
) -> Iterator[WorkerPool]:
    """A pool of so many workers: by default one a core or share of a GPU, or as many as a Ray cluster has room for.

    An exception ends what is in flight at once. `ray_address` is of `ray` alone.

    Raises:
        BadInputError: no such executor, no such cluster, or a slice finds room on none of its nodes.
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
