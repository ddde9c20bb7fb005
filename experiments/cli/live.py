"""A sweep as a person watches it run: one screen on a terminal, a line for each tenth of an epoch in a pipe."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import mean

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from experiments.cli.cell import shown_in_cell
from experiments.cli.terminal import duration, epoch_line, slice_line, workers_table
from harness.errors import brief
from harness.records import Outcome, Stage
from harness.slices import SliceResult
from studies.definition import SweepDefinition
from studies.jobs import Job
from studies.progress import Progress, SweepObserver, describe

SHOWN_FAILURES = 3


@contextmanager
def watch(definition: SweepDefinition, quiet: bool = False) -> Iterator[SweepObserver]:
    """An observer of the sweep that shows it on stderr; one that shows nothing where it is `quiet`."""
    console = Console(stderr=True)
    if quiet:
        yield SweepObserver()
        return
    if console.is_jupyter:
        screen = Screen(definition, console)
        with shown_in_cell(screen):
            yield screen
        return
    if not console.is_terminal:
        yield Lines(console)
        return
    screen = Screen(definition, console)
    with Live(screen, console=console, refresh_per_second=2) as live:
        try:
            yield screen
        finally:
            live.transient = screen.progress is None  # nothing was left to do, or it was refused


class Lines(SweepObserver):
    """A line for each epoch, and within one for each tenth of it that a slice ends behind."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.tenths: dict[str, int] = {}  # of each job, that were told

    def opened(self, sweep_id: str, progress: Progress) -> None:
        """Name the sweep, and how far it is."""
        self.progress = progress
        definition = progress.definition
        subset = "; on a subset of the data: its accuracies mean nothing" if definition.subset else ""
        self._line(f"sweep {sweep_id}: {progress.epochs_done:.1f} of {definition.total_epochs} epochs done{subset}")

    def trained(self, job: Job, result: SliceResult) -> None:
        """One line, if the job has come a tenth of an epoch further since the last one."""
        tenths = int(job.epochs * 10)
        if result.metrics is None and tenths <= self.tenths.get(job.run.run_id, 0):
            return
        self.tenths[job.run.run_id] = tenths
        said = epoch_line(result.metrics, job.run.config.epochs) if result.metrics else slice_line(job.epochs, result)
        self._print(job, f"{said}  {duration(self.progress.seconds_left)} left")

    def ended(self, job: Job) -> None:
        """One line where it did not complete, with its cause."""
        if job.outcome is not Outcome.COMPLETED:
            cause = _cause(job)
            self._print(job, f"{job.outcome}{': ' if cause else ''}{cause}")

    def _print(self, job: Job, text: str) -> None:
        done, of = self.progress.epochs_done, self.progress.definition.total_epochs
        self._line(f"[{done:.1f}/{of}] {describe(job)} of {job.optimizer}  {text}")

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class Screen(SweepObserver):
    """A row per optimizer: epochs spent, best, what runs, finals; a row per worker; below, the time left.

    Between them, the latest of what failed: trials, and finals that failed or diverged.
    """

    def __init__(self, definition: SweepDefinition, console: Console) -> None:
        self.progress: Progress | None = None
        self.failures: deque[str] = deque(maxlen=SHOWN_FAILURES)
        left = TextColumn("{task.fields[left]} left")
        done = TextColumn("{task.completed:.1f}/{task.total}")
        columns = (TextColumn("epochs"), BarColumn(), done, TimeElapsedColumn(), left)
        self.bar = RichProgress(*columns, console=console)
        self.task = self.bar.add_task("epochs", total=definition.total_epochs, left=duration(None))

    def opened(self, sweep_id: str, progress: Progress) -> None:  # noqa: ARG002
        """Show what it counts."""
        self.progress = progress

    def ended(self, job: Job) -> None:
        """Keep why it failed."""
        final_diverged = job.stage is Stage.FINAL and job.outcome is Outcome.DIVERGED
        if job.outcome is Outcome.FAILED or final_diverged:
            self.failures.append(f"{describe(job)} of {job.optimizer} {job.outcome}: {_cause(job)}")

    def __rich__(self) -> Group:
        """The screen as it is now."""
        if self.progress is None:
            return Group(self.bar)
        progress, definition = self.progress, self.progress.definition
        self.bar.update(self.task, completed=progress.epochs_done, left=duration(progress.seconds_left))
        table = Table("optimizer", "epochs", "best validation", "running", "mean test", box=None, pad_edge=False)
        each = definition.total_epochs // len(definition.optimizers)
        for name in definition.optimizers:
            running = _running(progress, [job for job in list(progress.running.values()) if job.optimizer == name])
            best = f"{progress.best[name]:.2%}" if name in progress.best else ""
            finals = f"{mean(progress.finals[name]):.2%}" if progress.finals[name] else ""
            spent = sum(of_stage[name] for of_stage in progress.spent.values())
            table.add_row(Text(name), f"{spent:.1f}/{each}", best, Text(running), finals)
        subset = ["subset of the data: its accuracies mean nothing"] if definition.subset else []
        failures = Text("".join(f"{each}\n" for each in list(self.failures)))
        return Group(*subset, table, failures, workers_table(progress.workers), "", self.bar, "")


def _running(progress: Progress, jobs: Sequence[Job]) -> str:
    """Say where the one run is, and of several only how many there are: a screen that grew with them would jump."""
    measured = [accuracy for job in jobs if (accuracy := _accuracy(job)) is not None]
    best = f"{max(measured):.2%}" if measured else ""
    if len(jobs) > 1:
        return f"{len(jobs)} runs{f', the best at {best}' if best else ''}"
    return "".join(f"{describe(job)}, {progress.position(job)} {best}".rstrip() for job in jobs)


def _cause(job: Job) -> str:
    """Why it failed or diverged; empty where it did neither."""
    if job.outcome is Outcome.DIVERGED and job.run.checkpoint.divergence is not None:
        return job.run.checkpoint.divergence.in_words
    return brief(job.failure or "")


def _accuracy(job: Job) -> float | None:
    """Return the last one that was measured on validation, wherever in an epoch; None before the first."""
    points = job.run.checkpoint.points
    return points[-1].validation_accuracy if points else None
