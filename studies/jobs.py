"""Trials and finals under way: slices kept in flight on an executor, their results recorded as they come."""

from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
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
    """A trial or a final. `number` is the trial's in its study, or the final's seed.

    It ends after `limit` epochs, or earlier where `pruned`. `failure` is what a slice of it raised.
    """

    stage: Stage
    optimizer: str
    number: int
    run: OpenRun
    limit: int
    pruned: bool = False
    outcome: Outcome | None = None
    failure: str | None = None

    @property
    def epochs(self) -> int:
        """How many whole epochs it has trained."""
        return len(self.run.checkpoint.epochs)

    @property
    def done(self) -> bool:
        """Whether nothing of it is left to train."""
        return self.run.trained or self.pruned or self.epochs >= self.limit

    @property
    def spent(self) -> int:
        """How many epochs it has begun: the one in which it diverged or failed counts."""
        return self.epochs + (self.outcome in (Outcome.DIVERGED, Outcome.FAILED))

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


class Queue(Protocol):
    """Which job trains next."""

    def next(self) -> Job | None:
        """One that may train its next epoch now, or is done; None where all wait for what is in flight."""

    def put(self, job: Job) -> None:
        """It has trained one more epoch."""

    def end(self, job: Job) -> None:
        """It has ended."""


def run_jobs(queue: Queue, pool: WorkerPool, tracker: Tracker, observer: Observer, stop: Event) -> None:
    """Keep the pool's workers busy until the queue has no more jobs.

    Once `stop` is set nothing more is submitted; what is in flight is finished and recorded.

    Raises:
        WorkFailedError: a final's slice raised, a worker died, or the queue gives up. The runs under way are closed.
        KeyboardInterrupt: `stop` was set, or Ctrl-C came. The runs under way are closed as killed.
    """
    under_way: dict[str, Job] = {}
    in_flight: dict[Future[SliceResult], Job] = {}

    def end(job: Job, failure: WorkFailedError | None = None) -> None:
        if failure is None:
            _, job.outcome = close_run(tracker, job.run)
        else:
            job.outcome = Outcome.FAILED
            cause = failure.__cause__ or failure
            job.failure = f"{type(cause).__name__}: {cause}"
            close_broken_run(tracker, job.run.run_id, Outcome.FAILED, cause)
        del under_way[job.run.run_id]
        observer.ended(job)
        queue.end(job)

    try:
        while True:
            while len(in_flight) < pool.workers and not stop.is_set() and (job := queue.next()):
                under_way[job.run.run_id] = job
                if job.done:
                    end(job)
                else:
                    in_flight[pool.submit(job.run)] = job
            if not in_flight:
                break
            for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                job = in_flight.pop(future)
                try:
                    result = _result(future, job)
                except WorkFailedError as failure:
                    if job.stage is not Stage.TRIAL or isinstance(failure.__cause__, BrokenExecutor):
                        raise
                    end(job, failure)
                    continue
                for metrics in record_slice(tracker, job.run, result):
                    observer.trained(job, metrics)
                if job.done:
                    end(job)
                else:
                    queue.put(job)
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
