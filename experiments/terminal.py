"""What a person sees on the terminal: a live table, or plain lines where it is piped; results as tables."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import mean

import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from harness.diagnosis import Finding
from harness.records import EpochMetrics, Outcome, Stage
from harness.reproduction import ACCURACY_TOLERANCE, LOSS_TOLERANCE, Reproduction
from reports.progress import SweepProgress
from reports.statistics import LEAST_SEEDS
from studies.definition import SweepDefinition
from studies.jobs import Job, Observer


def epoch_line(metrics: EpochMetrics, epochs: int | None = None) -> str:
    """One epoch, of so many, in one line."""
    split = "validation" if metrics.test_accuracy is None else "test"
    accuracy = metrics.validation_accuracy if metrics.test_accuracy is None else metrics.test_accuracy
    measured = "" if accuracy is None else f"{split} accuracy {accuracy:.4f}  "
    return (
        f"epoch {metrics.epoch}{'' if epochs is None else f'/{epochs}'}  train loss {metrics.train_loss:.4f}  "
        f"{measured}{metrics.train_seconds:.1f} s"
    )


@contextmanager
def watch(definition: SweepDefinition) -> Iterator[Observer]:
    """An observer of the sweep that shows it on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(definition, console)
        return
    table = LiveTable(definition, console)
    with Live(table, console=console, refresh_per_second=2):
        yield table


class Lines:
    """A line per epoch."""

    def __init__(self, definition: SweepDefinition, console: Console) -> None:
        self.definition = definition
        self.console = console
        self.done = 0

    def opened(self, sweep_id: str, spent: Mapping[str, int], best: Mapping[str, float]) -> None:  # noqa: ARG002
        """Name the sweep, and how far it is."""
        self.done = sum(spent.values())
        subset = ", on a subset of the data: its accuracies mean nothing" if self.definition.subset else ""
        self._line(f"sweep {sweep_id}{subset}: {self.done} of {self.definition.total_epochs} epochs done")

    def started(self, job: Job) -> None:
        """Count what an earlier process trained of it."""
        self.done += job.epochs

    def trained(self, job: Job, metrics: EpochMetrics) -> None:
        """One line."""
        self.done += 1
        self._print(job, epoch_line(metrics, job.run.config.epochs))

    def ended(self, job: Job) -> None:
        """One line where it did not complete."""
        self.done += job.spent - job.epochs
        if job.outcome is not Outcome.COMPLETED:
            self._print(job, str(job.outcome))

    def _print(self, job: Job, text: str) -> None:
        self._line(f"[{self.done}/{self.definition.total_epochs}] {_name(job)} of {job.optimizer}  {text}")

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class LiveTable:
    """A row per optimizer: epochs spent, best validation accuracy, what runs now, finals; below, the time left."""

    def __init__(self, definition: SweepDefinition, console: Console) -> None:
        self.definition = definition
        self.spent: dict[str, int] = defaultdict(int)
        self.best: dict[str, float] = {}
        self.running: dict[str, Job] = {}
        self.finals: dict[str, list[float]] = defaultdict(list)
        self.progress = Progress(
            TextColumn("epochs"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=3600,
        )
        self.task = self.progress.add_task("epochs", total=definition.total_epochs)

    def opened(self, sweep_id: str, spent: Mapping[str, int], best: Mapping[str, float]) -> None:  # noqa: ARG002
        """Begin where an earlier process ended."""
        self.best = dict(best)
        for optimizer, epochs in spent.items():
            self._spend(optimizer, epochs)

    def started(self, job: Job) -> None:
        """Show it in its optimizer's row."""
        self.running[job.run.run_id] = job
        self._spend(job.optimizer, job.epochs)

    def trained(self, job: Job, metrics: EpochMetrics) -> None:  # noqa: ARG002
        """Count the epoch."""
        self._spend(job.optimizer, 1)

    def ended(self, job: Job) -> None:
        """Keep its accuracy; an epoch that broke off was spent."""
        del self.running[job.run.run_id]
        self._spend(job.optimizer, job.spent - job.epochs)
        if job.last is None or job.outcome is not Outcome.COMPLETED:
            return
        if job.stage is Stage.FINAL and job.last.test_accuracy is not None:
            self.finals[job.optimizer].append(job.last.test_accuracy)
        elif job.last.validation_accuracy is not None:
            self.best[job.optimizer] = max(self.best.get(job.optimizer, 0.0), job.last.validation_accuracy)

    def _spend(self, optimizer: str, epochs: int) -> None:
        self.spent[optimizer] += epochs
        self.progress.advance(self.task, epochs)

    def __rich__(self) -> Group:
        """The table as it is now."""
        table = Table("optimizer", "epochs", "best validation", "running", "mean test", box=None, pad_edge=False)
        each = self.definition.total_epochs // len(self.definition.optimizers)
        for name in self.definition.optimizers:
            running = ", ".join(_describe(job) for job in self.running.values() if job.optimizer == name)
            best = f"{self.best[name]:.2%}" if name in self.best else ""
            finals = f"{mean(self.finals[name]):.2%}" if self.finals[name] else ""
            table.add_row(name, f"{self.spent[name]}/{each}", best, running, finals)
        subset = ["subset of the data: its accuracies mean nothing"] if self.definition.subset else []
        return Group(*subset, table, self.progress)


def print_summary(summary: pd.DataFrame) -> None:
    """A row per optimizer, the best first."""
    table = Table("optimizer", "tier", "mean test", "95% interval", "seeds", "trials", "", box=None, pad_edge=False)
    for row in summary.to_dict("records"):
        accuracy = f"{row['mean']:.2%}" if row["seeds"] else "no final completed"
        interval = f"{row['low']:.2%} to {row['high']:.2%}" if row["seeds"] >= LEAST_SEEDS else ""
        edge = "not fully tuned" if row["edges"] else ""
        table.add_row(row["optimizer"], row["tiers"], accuracy, interval, str(row["seeds"]), str(row["trials"]), edge)
    Console().print(table)


def print_progress(progress: SweepProgress, process: str | None, is_here: bool) -> None:
    """A row per optimizer, then who runs it, or how to go on."""
    console = Console()
    table = Table("optimizer", "epochs of trials", "best validation", "finals", "running", box=None, pad_edge=False)
    for each in progress.studies:
        best = "" if each.best is None else f"{each.best:.2%}"
        spent, finals = f"{each.epochs_spent}/{each.budget}", f"{each.finals}/{each.final_seeds}"
        table.add_row(each.optimizer, spent, best, finals, ", ".join(each.running) if process else "")
    console.print(table)
    if process is not None:
        state = f"run by {process}"
    elif progress.outcome == Outcome.COMPLETED:
        state = "completed"
    elif is_here:
        state = f"stopped; `harness sweep {progress.name}` goes on with it"
    else:
        state = "stopped, or running in another folder or on another machine"
    line = f"sweep {progress.sweep_id} of {progress.name}: {progress.epochs_done} of {progress.total_epochs} epochs, "
    subset = "; on a subset of the data: its accuracies mean nothing" if progress.subset else ""
    console.print(line + state + subset, highlight=False, markup=False, soft_wrap=True)


def print_reproduction(result: Reproduction) -> None:
    """A row per epoch and metric, what differs of environment and code, and the verdict."""
    console = Console()
    for kind, differences in (("environment", result.environment), ("code", result.code)):
        for changed in differences:
            line = f"{kind} differs: {changed.what} was {changed.then}, now {changed.now}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    table = Table("epoch", "metric", "recorded", "now", "", box=None, pad_edge=False)
    agreed = "identical" if not result.environment else "within tolerance"
    for each in result.comparisons:
        verdict = agreed if each.agrees else "DIFFERS"
        table.add_row(str(each.epoch), each.metric, repr(each.recorded), repr(each.reproduced), verdict)
    console.print(table)
    if result.first_difference is not None:
        verdict = f"not reproduced: {result.first_difference}"
    elif result.environment:
        verdict = (
            f"reproduced in another environment: accuracies within {ACCURACY_TOLERANCE}, losses within "
            f"{LOSS_TOLERANCE:.0%}; bits and state hash are not compared"
        )
    else:
        verdict = "reproduced bit by bit, the final state included"
    console.print(verdict, highlight=False, markup=False, soft_wrap=True)


def print_findings(findings: Sequence[Finding]) -> None:
    """A row each, and below it what to do."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for each in findings:
        table.add_row("ok" if each.advice is None else "WRONG", each.what, Text(each.found))
        if each.advice is not None:
            table.add_row("", "", Text(each.advice))
    Console().print(table)


def _name(job: Job) -> str:
    return f"trial {job.number}" if job.stage is Stage.TRIAL else f"final, seed {job.number}"


def _describe(job: Job) -> str:
    accuracy = "" if job.last is None else f" {job.last.validation_accuracy:.2%}"
    return f"{_name(job)}, epoch {job.epochs + 1}/{job.limit}{accuracy}"
