"""Count a running sweep's progress: epochs spent, best accuracy so far, what each worker does, the time left."""

import contextlib
import heapq
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean

from harness.config import steps_per_epoch
from harness.records import Outcome, Stage
from harness.slices import SliceResult
from studies.definition import SweepDefinition
from studies.jobs import Job, Observer
from studies.snapshot import Snapshot, write_snapshot

LATEST = 8  # latest slices that predict the next ones: a machine may become slower or faster


def describe(job: Job) -> str:
    """Return the name of a trial, confirmation or final in words."""
    return job.stage.of_number(job.number)


def part_of(stage: Stage) -> Stage:
    """Return the stage that a run's epochs count to: TRIAL for trials and confirmations, else FINAL."""
    return Stage.TRIAL if stage.is_tuning else Stage.FINAL


class Progress(Observer):
    """Count the work of a sweep.

    Counted by optimizer: epochs of trials and of finals, with fractions; the best validation accuracy; and the test
    accuracies (fractions) of finals that ended since the sweep was opened. `running` holds the jobs under way.
    """

    def __init__(
        self,
        definition: SweepDefinition,
        workers: int,
        trial_epochs: Mapping[str, float],
        final_epochs: Mapping[str, float],
        best: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.definition = definition
        self.spent: dict[Stage, dict[str, float]] = {Stage.TRIAL: dict(trial_epochs), Stage.FINAL: dict(final_epochs)}
        self.best = dict(best)
        self.finals: dict[str, list[float]] = defaultdict(list)
        self.running: dict[str, Job] = {}
        self._clock = clock
        self._at: list[tuple[Job, float] | None] = [None] * workers  # each worker's job, and when its slice began
        self._counted: dict[str, float] = {}  # epochs counted of each running job
        # epochs and seconds of the latest slices, by stage and optimizer
        self._seconds: dict[tuple[Stage, str], deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=LATEST))
        # seconds of an epoch of the winner, relative to the epochs of the optimizer's other trials at that time
        self._winner: dict[str, float] = {}

    @property
    def epochs_done(self) -> float:
        """Return the epochs of all trials and finals so far, with fractions."""
        return sum(sum(epochs.values()) for epochs in self.spent.values())

    @property
    def workers(self) -> list[str | None]:
        """Return in words what each worker trains; None for a worker that waits."""
        return [at and f"{at[0].optimizer} {describe(at[0])}, {self.position(at[0])}" for at in self._at]

    def position(self, job: Job) -> str:
        """Describe how far a job is; the slice in flight is estimated from the time of earlier slices."""
        epochs = job.epochs
        if self._seconds:
            rung = job.steps_to_train / steps_per_epoch(job.run.config) if not job.done else 0.0
            epochs += min(self._begun(job) / self._seconds_of(job), rung)
        return f"epoch {min(epochs, job.limit):.1f} of {job.limit:g}"

    @property
    def seconds_left(self) -> float | None:
        """Return the estimated seconds until the last final ends; None before the first slice has ended.

        The estimate assumes that trials of a study wait for each other, and that finals train side by side, each
        from its beginning to its end.
        """
        if not self._seconds:
            return None
        return self._trials_left() + _makespan(self._finals_left(), len(self._at))

    def _trials_left(self) -> float:
        """Return the seconds until the last trial ends: all work shared by all workers, or the longest study."""
        definition = self.definition
        budget = definition.budget * definition.replicates
        begun: dict[str, float] = defaultdict(float)
        for job in list(self.running.values()):
            if job.stage.is_tuning:
                begun[job.optimizer] += self._begun(job)
        studies = [
            max(0.0, (budget - self.spent[Stage.TRIAL][name]) * self._trial_seconds(name) - begun[name])
            for name in definition.optimizers
        ]
        of_all = sum(studies) / len(self._at)
        return of_all if definition.asynchronous else max(of_all, max(studies) / definition.at_once)

    def _finals_left(self) -> list[float]:
        """Return the seconds that each final still takes: first those that run, then those that have not begun."""
        definition = self.definition
        running = [job for job in list(self.running.values()) if not job.stage.is_tuning]
        under_way = [
            max(0.0, (job.limit - job.epochs) * self._final_seconds(job.optimizer) - self._begun(job))
            for job in running
        ]
        waiting = []
        for name in definition.optimizers:
            whole, seconds = definition.final_epochs, self._final_seconds(name)
            begun = self.spent[Stage.FINAL][name]
            begun += sum(job.limit - job.epochs for job in running if job.optimizer == name)
            of_all = definition.total_epochs / len(definition.optimizers) - definition.budget * definition.replicates
            finals, epochs = divmod(max(0, of_all - begun), whole)
            waiting.append([epochs * seconds, *([whole * seconds] * int(finals))])
        in_turn = (each for of_seed in itertools.zip_longest(*waiting, fillvalue=0.0) for each in of_seed)
        return [*under_way, *in_turn]

    def expect(self, stage: Stage, optimizer: str, seconds: float) -> None:
        """Expect an epoch to take that many seconds, until real slices have ended."""
        self._seconds[stage, optimizer].append((1.0, seconds))

    def snapshot(self) -> Snapshot:
        """Return the snapshot that other processes may read."""
        return Snapshot(workers=tuple(self.workers), seconds_left=self.seconds_left)

    def started(self, job: Job) -> None:
        """Count the job as running, with the epochs that an earlier process has trained."""
        self.running[job.run.run_id] = job
        self._count(job, job.epochs)

    def submitted(self, job: Job) -> None:
        """Mark a free worker as busy with the job."""
        self._free(job)
        if None in self._at:
            self._at[self._at.index(None)] = (job, self._clock())

    def trained(self, job: Job, result: SliceResult) -> None:
        """Free the job's worker, and count its new epochs and the time of the slice."""
        self._free(job)
        trained = self._count(job, job.epochs)
        if trained:
            self._seconds[part_of(job.stage), job.optimizer].append((trained, result.seconds))

    def ended(self, job: Job) -> None:
        """Count the epochs that the job has spent, and keep its accuracy."""
        self._free(job)
        del self.running[job.run.run_id]
        self._count(job, job.spent / job.run.config.dataset.train_size)
        del self._counted[job.run.run_id]
        if job.outcome is not Outcome.COMPLETED or job.last is None:
            return
        validation, test = job.last.validation_accuracy, job.last.test_accuracy
        if job.stage is Stage.FINAL and test is not None:
            self.finals[job.optimizer].append(test)
        elif job.stage is Stage.TRIAL and validation is not None and validation > self.best.get(job.optimizer, -1.0):
            self.best[job.optimizer] = validation
            if self._seconds:  # empty if an earlier process trained the job
                seconds = mean(each.train_seconds + each.evaluate_seconds for each in job.run.checkpoint.epochs)
                self._winner[job.optimizer] = seconds / self._trial_seconds(job.optimizer)

    def _count(self, job: Job, epochs: float) -> float:
        """Set the counted epochs of a job, and return how many of them are new."""
        new = epochs - self._counted.get(job.run.run_id, 0)
        self._counted[job.run.run_id] = epochs
        self.spent[part_of(job.stage)][job.optimizer] += new
        return new

    def _free(self, job: Job) -> None:
        self._at = [None if at and at[0] is job else at for at in self._at]

    def _final_seconds(self, optimizer: str) -> float:
        """Return the seconds of an epoch of the optimizer's finals; before the first, an estimate from its trials."""
        latest = self._seconds.get((Stage.FINAL, optimizer))
        return _of_an_epoch(latest) if latest else self._winner.get(optimizer, 1.0) * self._trial_seconds(optimizer)

    def _trial_seconds(self, optimizer: str) -> float:
        """Return the seconds of an epoch of the optimizer's trials; before the first, the mean of all optimizers."""
        latest = self._seconds.get((Stage.TRIAL, optimizer))
        return _of_an_epoch(latest or itertools.chain.from_iterable(self._seconds.values()))

    def _seconds_of(self, job: Job) -> float:
        return (self._trial_seconds if job.stage.is_tuning else self._final_seconds)(job.optimizer)

    def _begun(self, job: Job) -> float:
        """Return the seconds since the job's slice began, at most the expected time of an epoch."""
        since = next((self._clock() - at[1] for at in self._at if at and at[0] is job), 0.0)
        return min(since, self._seconds_of(job))


def _of_an_epoch(slices: Iterable[tuple[float, float]]) -> float:
    """Return the seconds of an epoch, from the (epochs, seconds) of slices."""
    epochs, seconds = map(sum, zip(*slices, strict=True))
    return seconds / epochs


def _makespan(seconds: Sequence[float], workers: int) -> float:
    """Return the time until the last task ends, if each task goes to the first free of `workers` workers."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


class SweepObserver(Observer):
    """Watch a whole sweep. Each method does nothing; a subclass overrides the ones it needs."""

    def opened(self, sweep_id: str, progress: Progress) -> None:
        """Handle the start, or resumption, of the sweep. `progress` counts its work."""


class Publisher(Observer):
    """Write the snapshot of a progress to the sweep's folder, where `read_snapshot` finds it."""

    def __init__(self, progress: Progress, folder: Path) -> None:
        self._progress = progress
        self._folder = folder

    def waiting(self) -> None:
        """Write the snapshot once all workers are busy."""
        with contextlib.suppress(OSError):  # a failed write of the progress must not end the sweep
            write_snapshot(self._folder, self._progress.snapshot())
