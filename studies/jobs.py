"""Trials and finals under way: slices kept in flight on an executor, their results recorded as they come."""

import functools
import logging
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Protocol

from harness.errors import BadInputError, WorkFailedError
from harness.records import EpochMetrics, Outcome, Stage, Tag
from harness.run import OpenRun, SliceResult, close_broken_run, close_run, record_slice
from harness.tracking.buffered import Outbox
from harness.training.checkpoint import discard
from studies.executors.pool import WorkerPool

if TYPE_CHECKING:
    from studies.progress import Progress

logger = logging.getLogger(__name__)
MOST_DEATHS = 3


@dataclass
class Job:
    """A trial or a final. `number` is the trial's in its study, or the final's seed.

    It ends after `limit` epochs, or earlier where `pruned`. `failure` is what a slice of it raised, which a final may
    once. At its end `stored_id` is its run's id in the store, None where the store has not answered yet.
    """

    stage: Stage
    optimizer: str
    number: int
    run: OpenRun
    limit: int
    pruned: bool = False
    outcome: Outcome | None = None
    failure: str | None = None
    stored_id: str | None = None

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


class Observer:
    """Who watches a sweep. What a subclass leaves out, it does not look at."""

    def opened(self, sweep_id: str, progress: "Progress") -> None:
        """The sweep began, or goes on. `progress` counts what comes."""

    def started(self, job: Job) -> None:
        """A trial or final began, or goes on."""

    def submitted(self, job: Job) -> None:
        """A worker is given its next epoch."""

    def trained(self, job: Job, metrics: EpochMetrics) -> None:
        """It trained one more epoch."""

    def ended(self, job: Job) -> None:
        """It came to its end."""

    def waiting(self) -> None:
        """Nothing is left to do until a slice ends."""


class Queue(Protocol):
    """Which job trains next."""

    def next(self) -> Job | None:
        """One that may train its next epoch now, or is done; None where all wait for what is in flight."""

    def put(self, job: Job) -> None:
        """It has trained one more epoch."""

    def end(self, job: Job) -> None:
        """It has ended."""


def run_jobs(
    queue: Queue, pool: WorkerPool, at_a_time: int, tracker: Outbox, observers: Sequence[Observer], stop: Event
) -> None:
    """Keep so many workers busy until the queue has no more jobs.

    A slice whose worker died is trained again, and once more a final's that raised: it is then lost, as one that
    diverged is. Once `stop` is set nothing more is submitted; what is in flight is finished and recorded.

    Raises:
        BadInputError: a worker finds no such data or own parts, or others.
        WorkFailedError: workers die again and again, the queue gives up, or the tracking store was away for too long.
        KeyboardInterrupt: `stop` was set, or Ctrl-C came.
    """
    in_flight: dict[Future[SliceResult], Job] = {}
    deaths = 0

    def submit(job: Job) -> None:
        in_flight[pool.submit(job.run)] = job
        for observer in observers:
            observer.submitted(job)

    def end(job: Job, failure: WorkFailedError | None = None) -> None:
        if failure is None:
            _, job.outcome = close_run(tracker, job.run)
        else:
            job.outcome = Outcome.FAILED
            cause = failure.__cause__ or failure
            job.failure = f"{type(cause).__name__}: {cause}"
            if job.stage is Stage.FINAL:
                tracker.set_tags(job.run.run_id, {Tag.GIVEN_UP: "true"})
            close_broken_run(tracker, job.run.run_id, Outcome.FAILED, cause)
        job.stored_id = tracker.known_id(job.run.run_id)
        for observer in observers:
            observer.ended(job)
        queue.end(job)
        tracker.when_delivered(functools.partial(discard, job.run.folder))

    while True:
        while len(in_flight) < at_a_time and not stop.is_set() and (job := queue.next()):
            if job.done:
                end(job)
            else:
                submit(job)
        if not in_flight:
            break
        for observer in observers:
            observer.waiting()
        lost = []
        for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
            job = in_flight.pop(future)
            try:
                result = _result(future, job)
            except WorkFailedError as failure:
                if isinstance(failure.__cause__, BrokenExecutor):
                    lost.append(job)
                elif _is_tried_again(job, failure):
                    queue.put(job)
                else:
                    end(job, failure)
                continue
            deaths = 0
            for metrics in record_slice(tracker, job.run, result):
                for observer in observers:
                    observer.trained(job, metrics)
            if job.done:
                end(job)
            else:
                queue.put(job)
        if lost:
            deaths += 1
            lost += in_flight.values()
            in_flight.clear()
            _replace_workers(pool, lost, deaths)
            for job in lost:
                submit(job)
    if stop.is_set():
        raise KeyboardInterrupt


def _is_tried_again(job: Job, failure: WorkFailedError) -> bool:
    """Whether it is a final that has failed for the first time; said, as its failing again is."""
    if job.stage is Stage.TRIAL:
        return False
    first = job.failure is None
    job.failure = " ".join(failure.what.split())
    logger.warning(
        "harness: %s; it is %s", job.failure, "tried once more" if first else "left out, as a diverged one"
    )
    return first


def _replace_workers(pool: WorkerPool, lost: Sequence[Job], deaths: int) -> None:
    """New workers for the slices that were in flight when one died.

    Raises:
        WorkFailedError: workers die again and again, and no slice comes to its end between.
    """
    if deaths >= MOST_DEATHS:
        raise WorkFailedError(
            lost[0].run.run_id,
            f"workers died {deaths} times before a slice came to its end; the system's log may say why "
            "(out of memory, for example)",
        )
    pool.replace_workers()


def _result(future: Future[SliceResult], job: Job) -> SliceResult:
    try:
        return future.result()
    except BadInputError:  # of the whole sweep: the worker finds other data or source than it began with
        raise
    except Exception as error:
        raise WorkFailedError(
            job.run.run_id,
            f"{job.stage} {job.number} of {job.optimizer} failed, {type(error).__name__}: {error}",
        ) from error
