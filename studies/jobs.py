"""Train trials and finals: keep their slices in flight on an executor, and record results as they arrive."""

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
MOST_DEATHS = 3  # deaths of workers without a finished slice between, after which a sweep stops


@dataclass
class Job:
    """A trial, confirmation or final under way. `number` is the trial's number in its study, or the final's seed.

    A job ends after `limit` epochs, or earlier if `pruned`. It is judged at its `milestones` (in epochs), and its
    slices end at those milestones that are `rungs`. `failure` is the error of one of its slices; a final is then
    tried once more. `stored_id` is set at the end: the run's id in the store, None if the store has not answered yet.
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
        """Return how many epochs the job has trained, with fractions."""
        return self.run.images / self.run.config.dataset.train_size

    @property
    def done(self) -> bool:
        """Return whether the job has nothing left to train."""
        return self.run.trained or self.pruned or self.run.step >= step_at(self.run.config, self.limit)

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Return the validation accuracies at the milestones reached; within an epoch, on a part of the set."""
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
        """Return the accuracies up to the last rung that the job has reached, by which it is judged there."""
        accuracies = self.accuracies  # where an epoch has one step, a rung within it is its end
        at_rungs = (number for number, each in enumerate(self.milestones, 1) if each in self.rungs)
        return accuracies[: max((number for number in at_rungs if number <= len(accuracies)), default=0)]

    @property
    def is_at_a_rung(self) -> bool:
        """Return whether the job has just reached a rung, where it must be judged."""
        return any(self.run.step == step_at(self.run.config, rung) for rung in self.rungs)

    @property
    def steps_to_train(self) -> int:
        """Return how many steps the job may train before it is judged or ends."""
        stops = (step_at(self.run.config, each) for each in (*self.rungs, self.limit))
        return min(stop for stop in stops if stop > self.run.step) - self.run.step

    @property
    def spent(self) -> int:
        """Return how many images of the budget the job has spent.

        A job that diverged or failed counts up to its next milestone: a study whose trials all diverge at once would
        otherwise ask for trials without end.
        """
        if self.outcome not in (Outcome.DIVERGED, Outcome.FAILED):
            return self.run.images
        steps = [step_at(self.run.config, each) for each in (*self.milestones, self.limit)]
        # a job that diverged at the end of its epoch was not measured there, so that milestone is not reached
        done = self.run.step - (self.run.checkpoint.step == steps_per_epoch(self.run.config))
        return images_at(self.run.config, min((step for step in steps if step > done), default=done))

    @property
    def last(self) -> EpochMetrics | None:
        """Return the metrics of the last whole epoch; None before the first has ended."""
        return self.run.checkpoint.epochs[-1] if self.run.checkpoint.epochs else None


class Observer:
    """Watch trials and finals. Each method does nothing; a subclass overrides the ones it needs."""

    def started(self, job: Job) -> None:
        """Handle the start, or resumption, of a trial or final."""

    def submitted(self, job: Job) -> None:
        """Handle that a worker was given the job's next slice."""

    def trained(self, job: Job, result: SliceResult) -> None:
        """Handle that the job has trained one more slice."""

    def ended(self, job: Job) -> None:
        """Handle the end of the job."""

    def waiting(self) -> None:
        """Handle that nothing is left to do until a slice ends."""


class Queue(Protocol):
    """Decide which job trains next."""

    def next(self) -> Job | None:
        """Return a job that is done or may train its next slice; None if all jobs wait for slices in flight."""

    def put(self, job: Job) -> None:
        """Take back a job that has trained one more slice."""

    def end(self, job: Job) -> None:
        """Handle the end of a job."""


def run_jobs(queue: Queue, pool: WorkerPool, tracker: Outbox, observers: Sequence[Observer], stop: Event) -> None:
    """Train the queue's jobs, with a slice for every worker, until the queue is empty.

    A slice whose worker died is trained again. A slice of a final or confirmation that raised an error is tried once
    more; after a second error the run counts as lost, like one that diverged. Once `stop` is set no slice is
    submitted; slices in flight are finished and recorded.

    Raises:
        BadInputError: a worker does not find the data or the user's own code, or finds other versions.
        WorkFailedError: workers died several times in a row, the queue gave up, or the tracking store was unavailable
            for too long.
        KeyboardInterrupt: the user pressed Ctrl-C.
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
    """The slices of a queue's jobs that are in flight, and the handling of their results."""

    def __init__(self, queue: Queue, pool: WorkerPool, tracker: Outbox, observers: Sequence[Observer]) -> None:
        self.in_flight: dict[Future[SliceResult], Job] = {}
        self._queue = queue
        self._pool = pool
        self._tracker = tracker
        self._observers = observers
        self._deaths = 0
        # not `concurrent.futures.wait`: a second Ctrl-C within it breaks its lock for the other threads
        self._ended: SimpleQueue[Future[SliceResult]] = SimpleQueue()

    def submit(self, job: Job) -> None:
        future = self._pool.submit(job.run, job.steps_to_train)
        self.in_flight[future] = job
        future.add_done_callback(self._ended.put)
        for observer in self._observers:
            observer.submitted(job)

    def ended_slices(self) -> list[Future[SliceResult]]:
        """Wait until a slice in flight ends, and return all slices that have ended."""
        ended: list[Future[SliceResult]] = []
        while not ended or not self._ended.empty():
            future = self._ended.get()
            if future in self.in_flight:  # a future of replaced workers is ignored
                ended.append(future)
        return ended

    def take(self, future: Future[SliceResult]) -> Job | None:
        """Record the slice that ended; return its job only if its worker died."""
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
        """Replace all workers after one died, and submit again every slice that was in flight.

        The other workers of the pool can't be used after that.

        Raises:
            WorkFailedError: workers died several times without a finished slice between.
        """
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            raise WorkFailedError(
                lost[0].run.run_id,
                f"workers died {self._deaths} times without a finished slice in between; look for the cause in the "
                "system's log (out of memory, for example)",
            )
        lost += self.in_flight.values()
        self.in_flight.clear()
        self._pool.replace_workers()
        for job in lost:
            self.submit(job)


def _is_tried_again(job: Job, failure: WorkFailedError) -> bool:
    """Return whether a failed job is tried again: a final or confirmation, the first time. Warn in either case."""
    if job.stage is Stage.TRIAL:
        return False
    first = job.failure is None
    job.failure = " ".join(failure.what.split())
    logger.warning(
        "harness: %s; %s", job.failure, "it is retried once" if first else "it is left out, like a diverged run"
    )
    return first


def _result(future: Future[SliceResult], job: Job) -> SliceResult:
    try:
        return future.result()
    except RefusedError:  # this stops the whole sweep: the worker finds other data or code than the sweep began with
        raise
    except Exception as error:
        raise WorkFailedError(
            job.run.run_id,
            f"{job.stage} {job.number} of {job.optimizer} failed, {type(error).__name__}: {error}",
        ) from error
