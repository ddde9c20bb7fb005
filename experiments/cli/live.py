"""Show a running sweep on stderr: one screen on a terminal, or one line per tenth of an epoch in a pipe."""

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
    """Yield an observer that shows the sweep on stderr or below a notebook's cell; if `quiet`, it shows nothing."""
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
            live.transient = screen.progress is None  # the sweep was complete already, or was refused


class Lines(SweepObserver):
    """Print one line per epoch, and within an epoch one line when a slice ends in a new tenth of the epoch."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.tenths: dict[str, int] = {}  # tenths of an epoch that were printed, by run id

    def opened(self, sweep_id: str, progress: Progress) -> None:
        """Print the sweep's id and how many epochs are done."""
        self.progress = progress
        definition = progress.definition
        subset = "; on a subset of the data: its accuracies mean nothing" if definition.subset else ""
        self._line(f"sweep {sweep_id}: {progress.epochs_done:.1f} of {definition.total_epochs} epochs done{subset}")

    def trained(self, job: Job, result: SliceResult) -> None:
        """Print a line if the job has completed an epoch, or reached a new tenth of an epoch since its last line."""
        tenths = int(job.epochs * 10)
        if result.metrics is None and tenths <= self.tenths.get(job.run.run_id, 0):
            return
        self.tenths[job.run.run_id] = tenths
        said = epoch_line(result.metrics, job.run.config.epochs) if result.metrics else slice_line(job.epochs, result)
        self._print(job, f"{said}  {duration(self.progress.seconds_left)} left")

    def ended(self, job: Job) -> None:
        """Print the outcome and its cause, unless the job completed."""
        if job.outcome is not Outcome.COMPLETED:
            cause = _cause(job)
            self._print(job, f"{job.outcome}{': ' if cause else ''}{cause}")

    def _print(self, job: Job, text: str) -> None:
        done, of = self.progress.epochs_done, self.progress.definition.total_epochs
        self._line(f"[{done:.1f}/{of}] {describe(job)} of {job.optimizer}  {text}")

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class Screen(SweepObserver):
    """Show a table with a row per optimizer, the latest failures, a row per worker and the time left.

    An optimizer's row has its spent epochs, best validation accuracy, running jobs and mean test accuracy. A failure
    is a trial that failed, or a final that failed or diverged.
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
        """Begin to show the progress."""
        self.progress = progress

    def ended(self, job: Job) -> None:
        """Keep the cause of a failure, to show it."""
        final_diverged = job.stage is Stage.FINAL and job.outcome is Outcome.DIVERGED
        if job.outcome is Outcome.FAILED or final_diverged:
            self.failures.append(f"{describe(job)} of {job.optimizer} {job.outcome}: {_cause(job)}")

    def __rich__(self) -> Group:
        """Return the current screen."""
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
    """Return the position of a single run, or the number of several, since further lines would move the screen."""
    measured = [accuracy for job in jobs if (accuracy := _accuracy(job)) is not None]
    best = f"{max(measured):.2%}" if measured else ""
    if len(jobs) > 1:
        return f"{len(jobs)} runs{f', the best at {best}' if best else ''}"
    return "".join(", ".join(filter(None, (describe(job), progress.position(job), best))) for job in jobs)


def _cause(job: Job) -> str:
    """Return why the job failed or diverged; an empty text if it did neither."""
    if job.outcome is Outcome.DIVERGED and job.run.checkpoint.divergence is not None:
        return job.run.checkpoint.divergence.in_words
    return brief(job.failure or "")


def _accuracy(job: Job) -> float | None:
    """Return the job's latest validation accuracy, also if it was measured within an epoch; None before the first."""
    points = job.run.checkpoint.points
    return points[-1].validation_accuracy if points else None
