"""Print on the terminal: the line of an epoch, the experiments, a sweep's plan and progress, a prediction, a check.

`experiments.cli.results` prints the tables of results.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.cli.prose import say
from experiments.cli.steps import next_step

if TYPE_CHECKING:  # a command should not wait for imports that it does not need
    from experiments.declared import Description
    from harness.cut_off import CutOff
    from harness.doctor import Finding
    from harness.predict import Pixel, Prediction
    from harness.records import EpochMetrics
    from harness.slices import SliceResult
    from reports.status import SweepProgress
    from studies.definition import SweepDefinition
    from studies.snapshot import Snapshot

SHOWN_WORKERS = 12
LAST_STEPS = 50  # the mean training loss of these steps is shown within an epoch
FEW_ROWS = 20  # an image of fewer rows is shown larger
WITHOUT_TERMINAL = 10_000  # columns in a pipe


def epoch_line(metrics: "EpochMetrics", epochs: int | None = None) -> str:
    """Return one line with the metrics of an epoch; `epochs` is the run's number of epochs, None if unknown."""
    split = "validation" if metrics.test_accuracy is None else "test"
    accuracy = metrics.validation_accuracy if metrics.test_accuracy is None else metrics.test_accuracy
    measured = "" if accuracy is None else f"{split} accuracy {accuracy:.2%}  "
    return (
        f"epoch {metrics.epoch}{'' if epochs is None else f'/{epochs}'}  train loss {metrics.train_loss:.4f}  "
        f"{measured}{metrics.train_seconds:.1f} s"
    )


def slice_line(epochs: float, result: "SliceResult") -> str:
    """Return one line for a slice that ended after `epochs` epochs: its loss and latest validation accuracy."""
    loss = float(result.steps.losses[-LAST_STEPS:].mean())
    measured = f"validation accuracy {result.points[-1].validation_accuracy:.2%}  " if result.points else ""
    return f"epoch {epochs:.1f}  train loss {loss:.4f}  {measured}{result.seconds:.1f} s"


def duration(seconds: float | None) -> str:
    """Return seconds as `M:SS`, from an hour on as `H:MM:SS`; `-:--` for None."""
    if seconds is None:
        return "-:--"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def roughly(seconds: float) -> str:
    """Return seconds in words, rounded as an estimate."""
    if seconds < 90:
        return f"{max(1, round(seconds / 5)) * 5} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def wide_console() -> Console:
    """Return a console as wide as the terminal; in a pipe, so wide that no line is cut."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = WITHOUT_TERMINAL
    return console


def print_experiments(experiments: Mapping[str, "Description"]) -> None:
    """Print the experiments with kind, purpose and cost; in a pipe, one line each, so that grep finds it whole."""
    console = wide_console()
    if not console.is_terminal:
        for name, each in experiments.items():
            console.print(f"{name:<16} {each.kind:<6} {f'{each.cost}: ' if each.cost else ''}{each.shows}")
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, each in experiments.items():
        table.add_row(Text(name, style="bold"), each.kind, Text(f"{each.shows}\n").append(each.cost, style="dim"))
    console.print(table)


def print_plan(name: str, definition: "SweepDefinition", workers: int, seconds: float) -> None:
    """Print a sweep's plan: its budgets, its estimated time, and the space of each optimizer's study."""
    from harness.config import things_of

    rungs = ", ".join(f"{rung:g}" for rung in definition.pruned_at)
    pruned = f", the best 1/{definition.reduction_factor} continue after {rungs} epochs" if rungs else ""
    data, seeds = definition.base.dataset, ", ".join(map(str, definition.final_seeds))
    several = f" {definition.replicates} times" if definition.replicates > 1 else ""
    say(
        f"{name}: {definition.total_epochs} epochs of {data.train_size:,} {things_of(data)}; per optimizer"
        f"{several} {_epochs(definition.budget)} of trials of {_epochs(definition.trial_epochs)} "
        f"({definition.sampler}{pruned}), then finals of {_epochs(definition.final_epochs)} on seeds {seeds}"
    )
    at_once = f"{workers} worker{'s' if workers > 1 else ''}"
    say(f"about {roughly(seconds)} with {at_once}, from a few steps of each optimizer measured just now")
    searched = {name: definition.searched(name) for name in definition.optimizers}
    first, *others = searched.values()
    shared = {key: each for key, each in first.items() if all(other.get(key) == each for other in others)}
    table = Table("optimizer", "searched", "values", box=None, pad_edge=False)
    for optimizer, space in {"all": shared, **searched}.items():
        for key, dimension in space.items():
            if optimizer == "all" or key not in shared:
                table.add_row(optimizer, key, dimension.describe())
    wide_console().print("", table, sep="\n")


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"


def workers_table(workers: Sequence[str | None]) -> Table:
    """Return a table with a row for each of the first workers, and a last row that counts the others.

    `workers` holds in words what each worker trains; None for a worker that waits.
    """
    table = Table(box=None, pad_edge=False, show_header=False)
    for number, at in enumerate(workers[:SHOWN_WORKERS], 1):
        table.add_row(f"worker {number}", Text(at or "waits", style="" if at else "dim"))
    if len(workers) > SHOWN_WORKERS:
        busy = sum(at is not None for at in workers[SHOWN_WORKERS:])
        table.add_row("", f"and {len(workers) - SHOWN_WORKERS} more, {busy} of them busy")
    return table


def print_progress(progress: "SweepProgress", process: str | None, is_here: bool, now: "Snapshot | None") -> None:
    """Print a row per optimizer, each worker's job, and which process runs the sweep or how to resume it.

    `process` names the process that runs the sweep, and `now` is its latest snapshot; both are None if none runs it.
    `is_here` says whether the sweep's folder is on this machine.
    """
    from harness.records import Outcome

    console = wide_console()
    table = Table("optimizer", "epochs of trials", "best validation", "finals", "running", box=None, pad_edge=False)
    for each in progress.studies:
        best = "" if each.best is None else f"{each.best:.2%}"
        spent, finals = f"{each.epochs_spent:.1f}/{each.budget}", f"{each.finals}/{each.final_seeds}"
        table.add_row(each.optimizer, spent, best, finals, ", ".join(each.running) if process else "")
    console.print(table)
    if process is not None:
        state = f"run by {process}"
        if now is not None:
            console.print("", workers_table(now.workers), "", sep="\n")
            state += f", {duration(now.seconds_left)} left"
    elif progress.outcome == Outcome.COMPLETED:
        state = "completed"
    elif is_here:
        state = f"stopped; `{progress.command}` resumes it"
    else:
        state = "stopped, or running in another folder or on another machine"
    done = f"{progress.epochs_done:.1f} of {progress.total_epochs} epochs"
    line = f"sweep {progress.sweep_id} of {progress.name}: {done}, "
    subset = "; on a subset of the data: its accuracies mean nothing" if progress.subset else ""
    say(line + state + subset)


def print_cut_off(found: "Sequence[CutOff]") -> None:
    """Print on stderr a line for each run that was cut off, with the commands that resume or close it."""
    for each in found:
        say(f"harness: {each.stage} {each.run_id} was cut off: {next_step(each)}", err=True)


def print_prediction(result: "Prediction", verdict: str) -> None:
    """Print the image as characters, the verdict, and the probability of each class."""
    for row in _as_text(result.pixels):
        typer.echo(row)
    say(f"{result.image}: {verdict}")
    for name, probability in zip(result.class_names, result.probabilities, strict=True):
        typer.echo(f"{name:<12} {probability:6.1%} {'█' * round(probability * 40)}".rstrip())


def _as_text(pixels: "Sequence[Sequence[Pixel]]") -> list[str]:
    """Return the rows of pixels as lines of characters; a character is twice as high as it is wide."""
    grey = [[pixel if isinstance(pixel, int) else sum(pixel) // 3 for pixel in row] for row in pixels]
    few = len(grey) < FEW_ROWS
    return ["".join(" .:-=+*#%@"[pixel * 9 // 255] * (1 + few) for pixel in row) for row in grey[:: 1 if few else 2]]


def print_findings(findings: "Sequence[Finding]") -> None:
    """Print a row per finding, and its advice in the next row."""
    for each in findings:
        begin = f"{'ok' if each.advice is None else 'WRONG':<5}  {each.what:<14}  "
        say(f"{begin}{each.found}", indent=len(begin))
        if each.advice is not None:
            say(f"{' ' * len(begin)}{each.advice}", indent=len(begin))
