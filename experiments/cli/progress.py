"""Show on stderr that a command works: a spinner, a bar within the epoch or, in a pipe, lines within the epoch."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from experiments.cli.cell import shown_in_cell
from experiments.cli.terminal import LAST_STEPS, duration, epoch_line

if TYPE_CHECKING:
    from harness.config import RunConfig
    from harness.records import EpochMetrics
    from harness.training.epoch import Epoch

EVERY = 0.5  # seconds between two readings of the losses; a GPU waits for each reading


@contextlib.contextmanager
def working(what: str, quiet: bool = False) -> Iterator[None]:
    """Show a spinner with the text `what` on a terminal; show nothing in a pipe, or if `quiet`."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True) as shown:
        shown.add_task(what, total=None)
        yield


@contextlib.contextmanager
def watch_training(config: "RunConfig", epochs: int | None, quiet: bool = False) -> Iterator["Watcher"]:
    """Yield a watcher that shows a run's training; `epochs` is the run's number of epochs, None if unknown."""
    console = Console(stderr=True)
    if quiet:
        yield Watcher()
    elif console.is_jupyter:
        bar = _bar(console)
        with shown_in_cell(bar, transient=True):
            yield TrainingBar(bar, config, epochs)
    elif console.is_terminal:
        with _bar(console) as bar:
            yield TrainingBar(bar, config, epochs)
    else:
        yield TrainingLines(console, config, epochs)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"))
    return Progress(*columns, TimeRemainingColumn(), TextColumn("left"), console=console, transient=True)


class Watcher:
    """Watch a run's training. Each method does nothing; a subclass overrides them."""

    def stepped(self, number: int, epoch: "Epoch") -> None:
        """Handle that a step was trained, in the epoch with this number (from 1)."""

    def ended(self, metrics: "EpochMetrics") -> None:
        """Handle that an epoch was trained and measured."""


class TrainingBar(Watcher):
    """Show a bar for the epoch: images seen, per cent, training loss of the last steps, and the epoch's time left."""

    def __init__(self, bar: Progress, config: "RunConfig", epochs: int | None) -> None:
        self._bar = bar
        self._config = config
        self._things = _things(config)
        self._epochs = epochs
        self._task = bar.add_task(self._name(1), total=config.dataset.train_size, said="begins")
        self._number = 1
        self._looked = 0.0

    def stepped(self, number: int, epoch: "Epoch") -> None:
        """Move the bar, at most twice a second."""
        if time.monotonic() - self._looked < EVERY and epoch.step < len(epoch.batches):
            return
        self._looked = time.monotonic()
        if number != self._number:
            self._number = number
            self._bar.reset(self._task, description=self._name(number))
        images, size = _images(self._config, epoch), self._config.dataset.train_size
        said = "measuring" if images == size else f"{images:,}/{size:,} {self._things}  train loss {_loss(epoch):.4f}"
        self._bar.update(self._task, completed=images, said=said)

    def ended(self, metrics: "EpochMetrics") -> None:
        """Print the epoch's line above the bar."""
        self._bar.console.print(epoch_line(metrics, self._epochs), highlight=False)

    def _name(self, number: int) -> str:
        return f"epoch {number}{'' if self._epochs is None else f'/{self._epochs}'}"


class TrainingLines(Watcher):
    """Print a line after every tenth of an epoch, and at its end."""

    def __init__(self, console: Console, config: "RunConfig", epochs: int | None) -> None:
        self._console = console
        self._config = config
        self._things = _things(config)
        self._epochs = epochs
        self._told = 0
        self._began = time.monotonic()
        self._first: int | None = None  # images that were trained before this process began

    def stepped(self, number: int, epoch: "Epoch") -> None:
        """Print a line if the step completed a tenth of the epoch."""
        images, size = _images(self._config, epoch), self._config.dataset.train_size
        done = (number - 1) * size + images
        if self._first is None:
            self._first, self._told = done, done * 10 // size
            return
        told, self._told = self._told, done * 10 // size
        if self._told == told or images == size:  # at its end, the epoch's own line follows
            return
        of, left = "", ""
        if self._epochs is not None:
            seconds = (time.monotonic() - self._began) / max(1, done - self._first) * (self._epochs * size - done)
            of, left = f"/{self._epochs}", f"  {duration(seconds)} left"
        self._say(f"epoch {number}{of}  {images:,}/{size:,} {self._things}  train loss {_loss(epoch):.4f}{left}")

    def ended(self, metrics: "EpochMetrics") -> None:
        """Print the epoch's line."""
        self._say(epoch_line(metrics, self._epochs))

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _things(config: "RunConfig") -> str:
    from harness.config import things_of

    return things_of(config.dataset)


def _images(config: "RunConfig", epoch: "Epoch") -> int:
    return min(epoch.step * config.batch_size, config.dataset.train_size)


def _loss(epoch: "Epoch") -> float:
    """Return the mean training loss of the last steps."""
    return float(epoch.losses[max(0, epoch.step - LAST_STEPS) : epoch.step].mean())
