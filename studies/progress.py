"""How far a sweep is while it runs: epochs spent, best so far, what each worker is at, how long it still takes."""

import contextlib
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.records import EpochMetrics, Outcome, Stage
from studies.definition import SweepDefinition
from studies.jobs import Job, Observer
from studies.snapshot import Snapshot, write_snapshot

RECENT = 6  # epochs a worker, whose pace is that of now


def describe(job: Job) -> str:
    """A trial or final, in words."""
    return f"trial {job.number}" if job.stage is Stage.TRIAL else f"final, seed {job.number}"


class Progress(Observer):
    """Counts what a sweep does. By optimizer: epochs begun of trials and of finals; the best validation accuracy and
    the test accuracies of the finals that ended since (fractions). `running` are the jobs that have not ended.
    """

    def __init__(
        self,
        definition: SweepDefinition,
        workers: int,
        trial_epochs: Mapping[str, int],
        final_epochs: Mapping[str, int],
        best: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.definition = definition
        self.spent = {Stage.TRIAL: dict(trial_epochs), Stage.FINAL: dict(final_epochs)}
        self.best = dict(best)
        self.finals: dict[str, list[float]] = defaultdict(list)
        self.running: dict[str, Job] = {}
        self._clock = clock
        self._at: list[tuple[Job, float] | None] = [None] * workers  # and since when
        self._epochs: Counter[str] = Counter()  # trained since, which took
        self._seconds: dict[str, float] = defaultdict(float)  # at the pace of the beginning
        self._taken: dict[str, float] = defaultdict(float)  # by run
        self._winner_seconds: dict[str, float] = {}
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT * workers)  # took, and was expected to

    @property
    def epochs_done(self) -> int:
        """Of all trials and finals."""
        return sum(sum(epochs.values()) for epochs in self.spent.values())

    @property
    def workers(self) -> list[str | None]:
        """What each is at, in words; None where it waits."""
        return [
            at and f"{at[0].optimizer} {describe(at[0])}, epoch {at[0].epochs + 1}/{at[0].limit}" for at in self._at
        ]

    @property
    def seconds_left(self) -> float | None:
        """Until the last final ends, as epochs have taken until now; None before one has ended.

        Trials wait for each other within a study, finals of the first seed train one at a time.
        """
        if not self._epochs:
            return None
        definition, workers = self.definition, len(self._at)
        rounds = len(definition.optimizers) * definition.at_once
        trials_at_a_time = workers if definition.asynchronous else min(workers, rounds)
        trials = alone = together = 0.0
        for name in definition.optimizers:
            final = self._winner_seconds.get(name, self._epoch_seconds(name))
            trials += max(0, definition.budget - self.spent[Stage.TRIAL][name]) * self._epoch_seconds(name)
            first = max(0, definition.final_epochs - self.spent[Stage.FINAL][name])
            alone += first * final
            all_finals = definition.final_epochs * len(definition.final_seeds) - self.spent[Stage.FINAL][name]
            together += max(0, all_finals - first) * final
        begun = [min(self._clock() - at[1], self._epoch_seconds(at[0].optimizer)) for at in self._at if at]
        if begun:
            trials, alone, together = _less(sum(begun), trials, alone, together)
        return self._pace * (trials / trials_at_a_time + alone + together / workers)

    def snapshot(self) -> Snapshot:
        """As it is now."""
        return Snapshot(workers=tuple(self.workers), seconds_left=self.seconds_left)

    def started(self, job: Job) -> None:
        """What an earlier process trained of it counts."""
        self.running[job.run.run_id] = job
        self.spent[job.stage][job.optimizer] += job.epochs

    def submitted(self, job: Job) -> None:
        """A worker is at it."""
        self._free(job)
        if None in self._at:
            self._at[self._at.index(None)] = (job, self._clock())

    def trained(self, job: Job, metrics: EpochMetrics) -> None:
        """One more epoch, and a worker less that is at it."""
        self._free(job)
        self.spent[job.stage][job.optimizer] += 1
        seconds = metrics.train_seconds + metrics.evaluate_seconds
        if self._epochs:
            final = self._winner_seconds.get(job.optimizer) if job.stage is Stage.FINAL else None
            self._recent.append((seconds, final or self._epoch_seconds(job.optimizer)))
        self._taken[job.run.run_id] += seconds / self._pace
        self._epochs[job.optimizer] += 1
        self._seconds[job.optimizer] += seconds / self._pace

    def ended(self, job: Job) -> None:
        """Keep its accuracy; an epoch that broke off was spent."""
        self._free(job)
        del self.running[job.run.run_id]
        self.spent[job.stage][job.optimizer] += job.spent - job.epochs
        if job.outcome is not Outcome.COMPLETED or job.last is None:
            return
        validation, test = job.last.validation_accuracy, job.last.test_accuracy
        if job.stage is Stage.FINAL and test is not None:
            self.finals[job.optimizer].append(test)
        elif job.stage is Stage.TRIAL and validation is not None and validation > self.best.get(job.optimizer, -1.0):
            self.best[job.optimizer] = validation
            self._winner_seconds[job.optimizer] = self._taken[job.run.run_id] / job.epochs

    @property
    def _pace(self) -> float:
        """How much longer than expected epochs take lately: the machine may have more, or less, to do beside them."""
        took, expected = (sum(each) for each in zip(*self._recent, strict=True)) if self._recent else (1.0, 1.0)
        return took / expected

    def _free(self, job: Job) -> None:
        self._at = [None if at and at[0] is job else at for at in self._at]

    def _epoch_seconds(self, optimizer: str) -> float:
        """Of its epochs until now; where it has none, of all optimizers'."""
        if self._epochs[optimizer]:
            return self._seconds[optimizer] / self._epochs[optimizer]
        return sum(self._seconds.values()) / self._epochs.total()


def _less(done: float, *parts: float) -> list[float]:
    """`parts` less what is done, the first of them first."""
    left = []
    for part in parts:
        left.append(max(0.0, part - done))
        done = max(0.0, done - part)
    return left


class Publisher(Observer):
    """Writes the snapshot of a progress where `read_snapshot` finds it."""

    def __init__(self, progress: Progress, folder: Path) -> None:
        self._progress = progress
        self._folder = folder

    def waiting(self) -> None:
        """Write it, now that all workers have what they are to do."""
        with contextlib.suppress(OSError):  # a sweep does not end because nobody can see how far it is
            write_snapshot(self._folder, self._progress.snapshot())
