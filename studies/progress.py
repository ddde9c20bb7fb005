"""How far a sweep is while it runs: epochs spent, best so far, what each worker is at, how long it still takes."""

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

LATEST = 8  # slices, as which the next ones are expected to be: a machine may get slower, or faster


def describe(job: Job) -> str:
    """A trial, confirmation or final, in words."""
    return job.stage.of_number(job.number)


def part_of(stage: Stage) -> Stage:
    """Return the stage that a run counts to: what confirms trials to them, what is trained as finals are to those."""
    return Stage.TRIAL if stage.is_tuning else Stage.FINAL


class Progress(Observer):
    """Counts what a sweep does. By optimizer: epochs of trials and of finals, parts of them too; the best validation
    accuracy and the test accuracies of the finals that ended since (fractions). `running` are the jobs that have not
    ended.
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
        self._at: list[tuple[Job, float] | None] = [None] * workers  # and since when
        self._counted: dict[str, float] = {}  # epochs of each job that is running
        # epochs and seconds of the latest slices, by stage and optimizer
        self._seconds: dict[tuple[Stage, str], deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=LATEST))
        self._winner: dict[str, float] = {}  # how long an epoch of it took, of those of the optimizer's trials then

    @property
    def epochs_done(self) -> float:
        """The epochs of all trials and finals, fractions of them too."""
        return sum(sum(epochs.values()) for epochs in self.spent.values())

    @property
    def workers(self) -> list[str | None]:
        """What each is at, in words; None where it waits."""
        return [at and f"{at[0].optimizer} {describe(at[0])}, {self.position(at[0])}" for at in self._at]

    def position(self, job: Job) -> str:
        """Say how far a job is; of the slice that is in flight, as far as slices took such time until now."""
        epochs = job.epochs
        if self._seconds:
            rung = job.steps_to_train / steps_per_epoch(job.run.config) if not job.done else 0.0
            epochs += min(self._begun(job) / self._seconds_of(job), rung)
        return f"epoch {min(epochs, job.limit):.1f} of {job.limit:g}"

    @property
    def seconds_left(self) -> float | None:
        """Until the last final ends, as epochs have taken until now; None before one has ended.

        Trials wait for each other within a study; finals train side by side, each from its beginning to its end.
        """
        if not self._seconds:
            return None
        return self._trials_left() + _makespan(self._finals_left(), len(self._at))

    def _trials_left(self) -> float:
        """Seconds until the last trial ends: by what all workers have to do, or by the study that takes longest."""
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
        """Seconds that each final still takes: those that run, then those that are to begin."""
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
        """Take an epoch to last so long, until some have ended."""
        self._seconds[stage, optimizer].append((1.0, seconds))

    def snapshot(self) -> Snapshot:
        """Return what other processes may see of it now."""
        return Snapshot(workers=tuple(self.workers), seconds_left=self.seconds_left)

    def started(self, job: Job) -> None:
        """What an earlier process trained of it counts."""
        self.running[job.run.run_id] = job
        self._count(job, job.epochs)

    def submitted(self, job: Job) -> None:
        """A worker is at it."""
        self._free(job)
        if None in self._at:
            self._at[self._at.index(None)] = (job, self._clock())

    def trained(self, job: Job, result: SliceResult) -> None:
        """One more slice, and a worker less that is at it."""
        self._free(job)
        trained = self._count(job, job.epochs)
        if trained:
            self._seconds[part_of(job.stage), job.optimizer].append((trained, result.seconds))

    def ended(self, job: Job) -> None:
        """Keep its accuracy, and what it has spent."""
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
            if self._seconds:  # or an earlier process trained it
                seconds = mean(each.train_seconds + each.evaluate_seconds for each in job.run.checkpoint.epochs)
                self._winner[job.optimizer] = seconds / self._trial_seconds(job.optimizer)

    def _count(self, job: Job, epochs: float) -> float:
        """Count so many epochs of a job, and return how many of them are new."""
        new = epochs - self._counted.get(job.run.run_id, 0)
        self._counted[job.run.run_id] = epochs
        self.spent[part_of(job.stage)][job.optimizer] += new
        return new

    def _free(self, job: Job) -> None:
        self._at = [None if at and at[0] is job else at for at in self._at]

    def _final_seconds(self, optimizer: str) -> float:
        """Return the seconds of an epoch of its finals; before one has ended, its winner's beside other trials."""
        latest = self._seconds.get((Stage.FINAL, optimizer))
        return _of_an_epoch(latest) if latest else self._winner.get(optimizer, 1.0) * self._trial_seconds(optimizer)

    def _trial_seconds(self, optimizer: str) -> float:
        """Return the seconds of an epoch of its trials; before one has ended, those of all optimizers' trials."""
        latest = self._seconds.get((Stage.TRIAL, optimizer))
        return _of_an_epoch(latest or itertools.chain.from_iterable(self._seconds.values()))

    def _seconds_of(self, job: Job) -> float:
        return (self._trial_seconds if job.stage.is_tuning else self._final_seconds)(job.optimizer)

    def _begun(self, job: Job) -> float:
        """Seconds since a worker is at its slice, but no more than an epoch is expected to take."""
        since = next((self._clock() - at[1] for at in self._at if at and at[0] is job), 0.0)
        return min(since, self._seconds_of(job))


def _of_an_epoch(slices: Iterable[tuple[float, float]]) -> float:
    """Return the seconds of an epoch, by the epochs and seconds of slices."""
    epochs, seconds = map(sum, zip(*slices, strict=True))
    return seconds / epochs


def _makespan(seconds: Sequence[float], workers: int) -> float:
    """How long so many workers take for these, each begun by the first that is free."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


class SweepObserver(Observer):
    """Who watches a whole sweep. What a subclass leaves out, it does not look at."""

    def opened(self, sweep_id: str, progress: Progress) -> None:
        """The sweep began, or goes on. `progress` counts what comes."""


class Publisher(Observer):
    """Writes the snapshot of a progress where `read_snapshot` finds it."""

    def __init__(self, progress: Progress, folder: Path) -> None:
        self._progress = progress
        self._folder = folder

    def waiting(self) -> None:
        """Write it, now that all workers have what they are to do."""
        with contextlib.suppress(OSError):  # a sweep does not end because nobody can see how far it is
            write_snapshot(self._folder, self._progress.snapshot())
