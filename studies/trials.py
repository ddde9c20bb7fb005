"""The trials of all studies of a sweep: which begins, which goes on, which is pruned, and when it is told."""

import math
from collections import deque
from collections.abc import Callable, Mapping

from harness.errors import WorkFailedError
from harness.records import Outcome
from studies.definition import SweepDefinition
from studies.halving import goes_on
from studies.jobs import Job
from studies.search import Search, Trial

SAME_FAILURES = 3  # in a row stop the sweep: what fails so often would spend the budget on nothing


class Trials:
    """A queue of trials. The study that has begun the fewest epochs asks next, so a sweep stopped early is fair.

    `open_job` begins a trial's run, or goes on with the recorded one.
    """

    def __init__(
        self, definition: SweepDefinition, searches: Mapping[str, Search], open_job: Callable[[str, Trial], Job]
    ) -> None:
        self._definition = definition
        self._searches = searches
        self._open_job = open_job
        self._ready: deque[Job] = deque()
        self._waiting: list[Job] = []
        self._live: dict[tuple[str, int], Job] = {}
        self._asked: dict[str, deque[Trial]] = {name: deque() for name in searches}
        self._failures: list[str] = []

    def next(self) -> Job | None:
        """One that goes on, else a new one of the study that has begun the fewest epochs."""
        while not self._ready and self._begin():
            pass
        return self._ready.popleft() if self._ready else None

    def put(self, job: Job) -> None:
        """It has trained one more epoch; at a rung it waits until its round has come there, and is decided upon."""
        if job.epochs in self._definition.rungs:
            self._waiting.append(job)
        else:
            self._ready.append(job)
        self._decide()

    def end(self, job: Job) -> None:
        """Tell its study. An epoch that was begun is spent, the one that diverged or failed too.

        Raises:
            WorkFailedError: trials fail one after the other for the same cause.
        """
        assert job.outcome is not None, "it has ended"
        self._searches[job.optimizer].tell(job.number, job.outcome, _accuracies(job), job.spent)
        del self._live[job.optimizer, job.number]
        self._decide()
        self._failures = [*self._failures, job.failure] if job.failure else []
        if self._failures[-SAME_FAILURES:] == [job.failure] * SAME_FAILURES:
            raise WorkFailedError(
                job.run.run_id, f"{SAME_FAILURES} trials in a row failed for the same cause, {job.failure}"
            )

    def _begin(self) -> bool:
        """Open one more trial's run, if a study may."""
        for name in sorted(self._searches, key=self._begun):
            trial = self._next_trial(name)
            if trial is not None:
                job = self._live[name, trial.number] = self._open_job(name, trial)
                if job.done:
                    self._ready.append(job)
                else:  # an earlier process may have left it at a rung
                    self.put(job)
                return True
        return False

    def _next_trial(self, name: str) -> Trial | None:
        asked = self._asked[name]
        live = any(optimizer == name for optimizer, _ in self._live)
        if not asked and not live:
            asked.extend(self._searches[name].ask())
        if not asked and self._definition.asynchronous:
            return self._searches[name].ask_another()
        return asked.popleft() if asked else None

    def _decide(self) -> None:
        """Release the waiting trials whose round has come to their rung, as pruned or going on."""
        for job in list(self._waiting):
            accuracies = self._at_rung(job)
            if accuracies is not None:
                self._waiting.remove(job)
                job.pruned = not goes_on(job.number, accuracies, self._definition.reduction_factor)
                self._ready.append(job)

    def _at_rung(self, job: Job) -> dict[int, float] | None:
        """The accuracies of the study's trials at the job's epoch; None where one of its round is still to come.

        What diverged or failed in an earlier round ranks last. In its own round it counts with what it had, so that a
        decision is the same when it is taken again after a crash.
        """
        rung = job.epochs
        live = {number: each for (name, number), each in self._live.items() if name == job.optimizer}
        if not self._definition.asynchronous and (
            self._asked[job.optimizer] or any(each.epochs < rung for each in live.values())
        ):
            return None
        accuracies = {}
        trials = self._searches[job.optimizer].trials
        its_round = next(trial.round for trial in trials if trial.number == job.number)
        for trial in trials:
            until_now = _accuracies(live[trial.number]) if trial.number in live else trial.accuracies
            if trial.round < its_round and trial.outcome in (Outcome.DIVERGED, Outcome.FAILED):
                accuracies[trial.number] = -math.inf
            elif len(until_now) >= rung:
                accuracies[trial.number] = until_now[rung - 1]
        return accuracies

    def _begun(self, name: str) -> int:
        live = sum(job.limit for (optimizer, _), job in self._live.items() if optimizer == name)
        return self._searches[name].spent + live


def _accuracies(job: Job) -> tuple[float, ...]:
    """Validation accuracy after each epoch."""
    accuracies = (metrics.validation_accuracy for metrics in job.run.checkpoint.epochs)
    return tuple(accuracy for accuracy in accuracies if accuracy is not None)
