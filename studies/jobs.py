"""Trials and finals under way: slices kept in flight on an executor, their results recorded as they come."""

import functools
import logging
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event
from typing import Protocol

from harness.config import images_at, step_at, steps_per_epoch
from harness.errors import RefusedError, WorkFailedError
from harness.open_run import OpenRun, close_broken_run, close_run, record_slice
from harness.records import EpochMetrics, Outcome, Stage, Tag
from harness.slices import SliceResult
from harness.tracking.buffered import Outbox
from harness.training.checkpoint import discard
from studies.executors.pool import WorkerPool

logger = logging.getLogger(__name__)
MOST_DEATHS = 3


@dataclass
class Job:
    """A trial, confirmation or final. `number` is the trial's in its study, or the final's seed.

    It ends after `limit` epochs, or earlier where `pruned`. It is judged at its `milestones`, in epochs, and stops at
    those of them that are `rungs`. `failure` is what a slice of it raised, which a final may once. At its end
    `stored_id` is its run's id in the store, None where the store has not answered yet.
    """

    stage: Stage
    optimizer: str
    number: int
    run: OpenRun
    limit: float
    milestones: tuple[float, ...] = ()
    rungs: tuple[float, ...] = ()
    pruned: bool = False
    outcome: Outcome | None = None
    failure: str | None = None
    stored_id: str | None = None

    @property
    def epochs(self) -> float:
        """How many epochs it has trained, a fraction of one too."""
        return self.run.images / self.run.config.dataset.train_size

    @property
    def done(self) -> bool:
        """Whether nothing of it is left to train."""
        return self.run.trained or self.pruned or self.run.step >= step_at(self.run.config, self.limit)

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Validation accuracy at each milestone that it has come to: of a part of the set within an epoch."""
        points = {point.step: point.validation_accuracy for point in self.run.checkpoint.points}
        epochs = self.run.checkpoint.epochs
        found = []
        for milestone in self.milestones:
            step = step_at(self.run.config, milestone)
            whole, within = divmod(step, steps_per_epoch(self.run.config))
            reached = step in points if within else whole <= len(epochs)
            accuracy = (points[step] if within else epochs[whole - 1].validation_accuracy) if reached else None
            if accuracy is None:
                break
            found.append(accuracy)
        return tuple(found)

    @property
    def judged(self) -> tuple[float, ...]:
        """Return the accuracies until the last rung that it has come to, by which it is judged there."""
        accuracies = self.accuracies  # where an epoch has one step, a rung within it is its end
        at_rungs = (number for number, each in enumerate(self.milestones, 1) if each in self.rungs)
        return accuracies[: max((number for number in at_rungs if number <= len(accuracies)), default=0)]

    @property
    def is_at_a_rung(self) -> bool:
        """Whether it has just come to one, where it is to be judged."""
        return any(self.run.step == step_at(self.run.config, rung) for rung in self.rungs)

    @property
    def steps_to_train(self) -> int:
        """How many steps it may train until it is judged, or ends."""
        stops = (step_at(self.run.config, each) for each in (*self.rungs, self.limit))
        return min(stop for stop in stops if stop > self.run.step) - self.run.step

    @property
    def spent(self) -> int:
        """How many images of the budget it has spent.

        One that diverged or failed has spent all until its next milestone: what does so at once would be tried for
        ever.
        """
        if self.outcome not in (Outcome.DIVERGED, Outcome.FAILED):
            return self.run.images
        steps = [step_at(self.run.config, each) for each in (*self.milestones, self.limit)]
        # one that diverged where its epoch was to be measured has not come to that milestone
        done = self.run.step - (self.run.checkpoint.step == steps_per_epoch(self.run.config))
        return images_at(self.run.config, min((step for step in steps if step > done), default=done))

    @property
    def last(self) -> EpochMetrics | None:
        """The last epoch's metrics."""
        return self.run.checkpoint.epochs[-1] if self.run.checkpoint.epochs else None


class Observer:
    """Who watches trials and finals. What a subclass leaves out, it does not look at."""

    def started(self, job: Job) -> None:
        """A trial or final began, or goes on."""

    def submitted(self, job: Job) -> None:
        """A worker is given its next slice."""

    def trained(self, job: Job, result: SliceResult) -> None:
        """Take note that the job trained one more slice."""

    def ended(self, job: Job) -> None:
        """Take note that the job came to its end."""

    def waiting(self) -> None:
        """Nothing is left to do until a slice ends."""


class Queue(Protocol):
    """Which job trains next."""

    def next(self) -> Job | None:
        """One that may train its next slice now, or is done; None where all wait for what is in flight."""

    def put(self, job: Job) -> None:
        """Take back a job that has trained one more slice."""

    def end(self, job: Job) -> None:
        """Take note that a job has ended."""


def run_jobs(queue: Queue, pool: WorkerPool, tracker: Outbox, observers: Sequence[Observer], stop: Event) -> None:
    """Keep so many workers busy until the queue has no more jobs.

    A slice whose worker died is trained again, and once more a final's that raised: it is then lost, as one that
    diverged is. Once `stop` is set nothing more is submitted; what is in flight is finished and recorded.

    Raises:
        BadInputError: a worker finds no such data or own parts, or others.
        WorkFailedError: workers die again and again, the queue gives up, or the tracking store was away for too long.
        KeyboardInterrupt: Ctrl-C came.
    """
    work = _Work(queue, pool, tracker, observers)
    while True:
        while len(work.in_flight) < pool.workers and not stop.is_set() and (job := queue.next()):
            if job.done:
                work.end(job)
            else:
                work.submit(job)
        if not work.in_flight:
            break
        for observer in observers:
            observer.waiting()
        lost = [job for future in work.ended_slices() if (job := work.take(future))]
        if lost:
            work.begin_anew(lost)


class _Work:
    """The slices of a queue's jobs that are in flight, and what becomes of each."""

    def __init__(self, queue: Queue, pool: WorkerPool, tracker: Outbox, observers: Sequence[Observer]) -> None:
        self.in_flight: dict[Future[SliceResult], Job] = {}
        self._queue = queue
        self._pool = pool
        self._tracker = tracker
        self._observers = observers
        self._deaths = 0
        # `concurrent.futures.wait` would do, but a second Ctrl-C within it breaks its lock for the other threads
        self._ended: SimpleQueue[Future[SliceResult]] = SimpleQueue()

    def submit(self, job: Job) -> None:
        future = self._pool.submit(job.run, job.steps_to_train)
        self.in_flight[future] = job
        future.add_done_callback(self._ended.put)
        for observer in self._observers:
            observer.submitted(job)

    def ended_slices(self) -> list[Future[SliceResult]]:
        """Wait until a slice in flight ends, and return all that have ended."""
        ended: list[Future[SliceResult]] = []
        while not ended or not self._ended.empty():
            future = self._ended.get()
            if future in self.in_flight:  # or it was of workers that have been replaced
                ended.append(future)
        return ended

    def take(self, future: Future[SliceResult]) -> Job | None:
        """Record the slice that ended, and return its job where its worker died."""
        job = self.in_flight.pop(future)
        try:
            result = _result(future, job)
        except WorkFailedError as failure:
            if isinstance(failure.__cause__, BrokenExecutor):
                return job
            if _is_tried_again(job, failure):
                self._queue.put(job)
            else:
                self.end(job, failure)
            return None
        self._deaths = 0
        record_slice(self._tracker, job.run, result)
        for observer in self._observers:
            observer.trained(job, result)
        if job.done:
            self.end(job)
        else:
            self._queue.put(job)
        return None

    def end(self, job: Job, failure: WorkFailedError | None = None) -> None:
        if failure is None:
            _, job.outcome = close_run(self._tracker, job.run)
        else:
            job.outcome = Outcome.FAILED
            cause = failure.__cause__ or failure
            job.failure = f"{type(cause).__name__}: {cause}"
            if job.stage is not Stage.TRIAL:
                self._tracker.set_tags(job.run.run_id, {Tag.GIVEN_UP: "true"})
            close_broken_run(self._tracker, job.run.run_id, Outcome.FAILED, cause)
        self._tracker.set_tags(job.run.run_id, {Tag.SPENT: str(job.spent)})
        job.stored_id = self._tracker.known_id(job.run.run_id)
        for observer in self._observers:
            observer.ended(job)
        self._queue.end(job)
        self._tracker.when_delivered(functools.partial(discard, job.run.folder))

    def begin_anew(self, lost: list[Job]) -> None:
        """Have new workers train what was in flight when one died: the others can't be used any more.

        Raises:
            WorkFailedError: workers die again and again, and no slice comes to its end between.
        """
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            raise WorkFailedError(
                lost[0].run.run_id,
                f"workers died {self._deaths} times before a slice came to its end; the system's log may say why "
                "(out of memory, for example)",
            )
        lost += self.in_flight.values()
        self.in_flight.clear()
        self._pool.replace_workers()
        for job in lost:
            self.submit(job)


def _is_tried_again(job: Job, failure: WorkFailedError) -> bool:
    """Whether it is no trial and has failed for the first time; said, as its failing again is."""
    if job.stage is Stage.TRIAL:
        return False
    first = job.failure is None
    job.failure = " ".join(failure.what.split())
    logger.warning(
        "harness: %s; it is %s", job.failure, "tried once more" if first else "left out, as a diverged one"
    )
    return first


def _result(future: Future[SliceResult], job: Job) -> SliceResult:
    try:
        return future.result()
    except RefusedError:  # of the whole sweep: the worker finds other data or source than it began with
        raise
    except Exception as error:
        raise WorkFailedError(
            job.run.run_id,
            f"{job.stage} {job.number} of {job.optimizer} failed, {type(error).__name__}: {error}",
        ) from error
