"""Trials and finals under way: slices kept in flight on an executor, their results recorded as they come."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from harness.errors import WorkFailedError
from harness.records import EpochMetrics, Outcome, Stage
from harness.run import OpenRun, SliceResult, close_broken_run, close_run, record_slice
from harness.tracking import Tracker
from studies.executors import WorkerPool


@dataclass
class Job:
    """A trial or a final. `number` is the trial's in its study, or the final's seed."""

    stage: Stage
    optimizer: str
    number: int
    run: OpenRun
    outcome: Outcome | None = None

    @property
    def last(self) -> EpochMetrics | None:
        """The last epoch's metrics."""
        return self.run.checkpoint.epochs[-1] if self.run.checkpoint.epochs else None


class Observer(Protocol):
    """Who watches a sweep."""

    def opened(self, sweep_id: str, spent: Mapping[str, int], best: Mapping[str, float]) -> None:
        """The sweep began, or goes on.

        By optimizer: `spent`, the epochs of what has ended; `best`, validation accuracy (fraction).
        """

    def started(self, job: Job) -> None:
        """A trial or final began, or goes on."""

    def trained(self, job: Job, metrics: EpochMetrics) -> None:
        """It trained one more epoch."""

    def ended(self, job: Job) -> None:
        """It came to its end."""


def run_jobs(
    next_job: Callable[[], Job | None], pool: WorkerPool, tracker: Tracker, observer: Observer, stop: Event
) -> Iterator[Job]:
    """Keep the pool's workers busy; yield each job as it ends. `next_job` gives the next one that may start.

    Once `stop` is set nothing more is submitted; what is in flight is finished and recorded.

    Raises:
        WorkFailedError: a slice raised. Its run is closed as failed, the others under way as killed.
        KeyboardInterrupt: `stop` was set, or Ctrl-C came. The runs under way are closed as killed.
    """
    under_way: dict[str, Job] = {}
    between_slices: deque[Job] = deque()
    in_flight: dict[Future[SliceResult], Job] = {}

    def end(job: Job) -> Job:
        _, job.outcome = close_run(tracker, job.run)
        del under_way[job.run.run_id]
        observer.ended(job)
        return job

    try:
        while True:
            while len(in_flight) < pool.workers and not stop.is_set():
                job = between_slices.popleft() if between_slices else next_job()
                if job is None:
                    break
                under_way[job.run.run_id] = job
                if job.run.trained:  # an earlier coordinator recorded its last slice and no more
                    yield end(job)
                    continue
                in_flight[pool.submit(job.run)] = job
            if not in_flight:
                break
            for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                job = in_flight.pop(future)
                for metrics in record_slice(tracker, job.run, _result(future, job)):
                    observer.trained(job, metrics)
                if job.run.trained:
                    yield end(job)
                else:
                    between_slices.append(job)
        if stop.is_set():
            raise KeyboardInterrupt
    except BaseException as error:
        failed = error.run_id if isinstance(error, WorkFailedError) else None
        for run_id in under_way:
            outcome = Outcome.FAILED if run_id == failed else Outcome.KILLED
            close_broken_run(tracker, run_id, outcome, error)
        raise


def _result(future: Future[SliceResult], job: Job) -> SliceResult:
    try:
        return future.result()
    except Exception as error:
        raise WorkFailedError(
            job.run.run_id,
            f"{job.stage} {job.number} of {job.optimizer} failed, {type(error).__name__}: {error}",
        ) from error
