"""A sweep as a person watches it run: one screen on a terminal, a line per epoch where it is piped."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import mean

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from experiments.cli.terminal import duration, epoch_line, workers_table
from harness.errors import brief
from harness.records import EpochMetrics, Outcome, Stage
from studies.definition import SweepDefinition
from studies.jobs import Job
from studies.progress import Progress, SweepObserver, describe

SHOWN_FAILURES = 3


@contextmanager
def watch(definition: SweepDefinition) -> Iterator[SweepObserver]:
    """An observer of the sweep that shows it on stderr."""
    console = Console(stderr=True)
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
    """A line per epoch."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def opened(self, sweep_id: str, progress: Progress) -> None:
        """Name the sweep, and how far it is."""
        self.progress = progress
        definition = progress.definition
        subset = "; on a subset of the data: its accuracies mean nothing" if definition.subset else ""
        self._line(f"sweep {sweep_id}: {progress.epochs_done} of {definition.total_epochs} epochs done{subset}")

    def trained(self, job: Job, metrics: EpochMetrics) -> None:
        """One line."""
        self._print(job, f"{epoch_line(metrics, job.run.config.epochs)}  {duration(self.progress.seconds_left)} left")

    def ended(self, job: Job) -> None:
        """One line where it did not complete, with its cause."""
        if job.outcome is not Outcome.COMPLETED:
            cause = _cause(job)
            self._print(job, f"{job.outcome}{': ' if cause else ''}{cause}")

    def _print(self, job: Job, text: str) -> None:
        done, of = self.progress.epochs_done, self.progress.definition.total_epochs
        self._line(f"[{done}/{of}] {describe(job)} of {job.optimizer}  {text}")

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
        columns = (TextColumn("epochs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), left)
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
            running = ", ".join(_running(job) for job in list(progress.running.values()) if job.optimizer == name)
            best = f"{progress.best[name]:.2%}" if name in progress.best else ""
            finals = f"{mean(progress.finals[name]):.2%}" if progress.finals[name] else ""
            spent = sum(of_stage[name] for of_stage in progress.spent.values())
            table.add_row(Text(name), f"{spent}/{each}", best, Text(running), finals)
        subset = ["subset of the data: its accuracies mean nothing"] if definition.subset else []
        failures = Text("".join(f"{each}\n" for each in list(self.failures)))
        return Group(*subset, table, failures, workers_table(progress.workers), "", self.bar, "")


def _cause(job: Job) -> str:
    """Why it failed or diverged; empty where it did neither."""
    if job.outcome is Outcome.DIVERGED and job.run.checkpoint.divergence is not None:
        return job.run.checkpoint.divergence.in_words
    return brief(job.failure or "")


def _running(job: Job) -> str:
    accuracy = "" if job.last is None else f" {job.last.validation_accuracy:.2%}"
    return f"{describe(job)}, epoch {job.epochs + 1}/{job.limit}{accuracy}"
