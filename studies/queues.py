"""Choose which trial of a sweep begins, continues or is pruned next; and queue confirmations and finals."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.errors import WorkFailedError
from harness.records import Outcome
from studies.definition import SweepDefinition
from studies.jobs import Job
from studies.open_sweep import Opening
from studies.pruning import Standings
from studies.search.study import Search, Trial

SAME_FAILURES = 3  # a sweep stops after so many equal failures in a row, before they spend the whole budget


class Trials:
    """A queue of trials. The study that has begun the fewest epochs asks next, so a sweep that stops early is fair.

    `open_job` begins a trial's run, or resumes the recorded one.
    """

    def __init__(
        self, definition: SweepDefinition, searches: Mapping[str, Search], open_job: Callable[[str, Trial], Job]
    ) -> None:
        self._definition = definition
        self._searches = searches
        self._open_job = open_job
        self._ready: deque[Job] = deque()
        self._waiting: dict[str, list[Job]] = {name: [] for name in searches}
        self._live: dict[str, dict[int, Job]] = {name: {} for name in searches}
        self._asked: dict[str, deque[Trial]] = {name: deque() for name in searches}
        self._standings = {name: _standings(definition, search.trials) for name, search in searches.items()}
        self._failures: list[str] = []

    def next(self) -> Job | None:
        """Return a trial that is ready to continue, else a new one of the study that has begun the fewest epochs."""
        while not self._ready and self._begin():
            pass
        return self._ready.popleft() if self._ready else None

    def put(self, job: Job) -> None:
        """Take back a trial that trained a slice; a trial at a rung waits there until its round is decided."""
        self._standings[job.optimizer].record(job.number, job.accuracies)
        if job.is_at_a_rung:
            self._waiting[job.optimizer].append(job)
        else:
            self._ready.append(job)
        self._decide(job.optimizer)

    def end(self, job: Job) -> None:
        """Tell the trial's study how the trial ended.

        Raises:
            WorkFailedError: several trials in a row failed for the same cause.
        """
        assert job.outcome is not None, "it has ended"
        accuracies = job.accuracies
        self._searches[job.optimizer].tell(job.number, job.outcome, accuracies, job.spent, job.stored_id)
        del self._live[job.optimizer][job.number]
        _rank(self._standings[job.optimizer], job.number, job.outcome, accuracies)
        self._decide(job.optimizer)
        self._failures = [*self._failures, job.failure] if job.failure else []
        if self._failures[-SAME_FAILURES:] == [job.failure] * SAME_FAILURES:
            raise WorkFailedError(
                job.run.run_id, f"{SAME_FAILURES} trials in a row failed for the same cause, {job.failure}"
            )

    def _begin(self) -> bool:
        """Open the run of one more trial; return False if no study may ask for one."""
        for name in sorted(self._searches, key=self._begun):
            trial = self._next_trial(name)
            if trial is not None:
                job = self._live[name][trial.number] = self._open_job(name, trial)
                self._standings[name].begin(trial.round)
                if job.done:
                    self._standings[name].record(job.number, job.accuracies)
                    self._ready.append(job)
                else:  # an earlier process may have left the trial at a rung
                    self.put(job)
                return True
        return False

    def _next_trial(self, name: str) -> Trial | None:
        asked = self._asked[name]
        if not asked and not self._live[name]:
            asked.extend(self._searches[name].ask())
        if not asked and self._definition.asynchronous:
            return self._searches[name].ask_another()
        return asked.popleft() if asked else None

    def _decide(self, name: str) -> None:
        """Release the study's waiting trials, as pruned or continuing, once their whole round is at that rung."""
        for job in list(self._waiting[name]):
            if self._definition.asynchronous or self._round_is_at(name, len(job.judged)):
                self._waiting[name].remove(job)
                job.pruned = not self._standings[name].goes_on(job.number, job.judged)
                self._ready.append(job)

    def _round_is_at(self, name: str, milestone: int) -> bool:
        """Return whether all trials of the round have reached the milestone with that number."""
        return not self._asked[name] and all(len(each.accuracies) >= milestone for each in self._live[name].values())

    def _begun(self, name: str) -> float:
        begun = sum(job.limit for job in self._live[name].values())
        return self._searches[name].epochs_spent + begun


class WholeRuns:
    """A queue of runs that train to their end: confirmations and finals. A run is opened only when its turn comes."""

    def __init__(self, openings: Iterable[Opening]) -> None:
        self._to_open = deque(openings)
        self._ready: deque[Job] = deque()

    def next(self) -> Job | None:
        """Return a run that is ready to continue, else open the next one that has not ended; None without either."""
        while not self._ready and self._to_open:
            job = self._to_open.popleft()()
            if job is not None:
                return job
        return self._ready.popleft() if self._ready else None

    def put(self, job: Job) -> None:
        """Take back a run that has trained one more slice."""
        self._ready.append(job)

    def end(self, job: Job) -> None:
        """Do nothing: no other run waits for this one."""


def _standings(definition: SweepDefinition, trials: Sequence[Trial]) -> Standings:
    """Return the standings of a study's trials that have ended."""
    milestones = definition.milestones
    standings = Standings([milestones.index(rung) + 1 for rung in definition.pruned_at], definition.reduction_factor)
    for trial in trials:
        standings.begin(trial.round)
        if trial.outcome is not None:
            _rank(standings, trial.number, trial.outcome, trial.accuracies)
    return standings


def _rank(standings: Standings, number: int, outcome: Outcome, accuracies: Sequence[float]) -> None:
    standings.record(number, accuracies)
    if outcome in (Outcome.DIVERGED, Outcome.FAILED):
        standings.rank_last(number, accuracies)
