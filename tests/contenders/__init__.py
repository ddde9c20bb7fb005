"""The chapter's run as different people would have it, and ours: each timed in a process of its own.

A module here has `run(folder, epochs, variant)`, on the MNIST in `folder`. Of a single run of the chapter's network,
optimizer and batch sizes on two threads it returns each epoch, evaluated on the test set, as `Timed`; of a sweep with
trials of so many epochs, on two cores, one `Swept`; of workers, the start of each as `Timed`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

THREADS = 2


@dataclass(frozen=True)
class Timed:
    """An epoch: seconds of training and evaluation together, and the fraction of the test images that is right.

    None where nothing is learned, as in the start of a worker.
    """

    seconds: float
    accuracy: float | None


@dataclass(frozen=True)
class Winner:
    """An optimizer's best trial: its validation accuracy, and the test accuracies of its config on fresh seeds."""

    validation: float
    finals: tuple[float, ...]


@dataclass(frozen=True)
class Swept:
    """A sweep: seconds until every trial has ended, how many configurations it tried, and each optimizer's winner.

    There are no winners of a fixed list of trials. `busy` is how much of those seconds the workers trained and
    evaluated; `worker_bytes`, the most memory that one of them took. 0 where it isn't known.
    """

    seconds: float
    configurations: int
    winners: dict[str, Winner]
    busy: float = 0.0
    worker_bytes: int = 0


def settings(words: Iterable[str]) -> dict[str, Any]:
    """Settings of a config, each as KEY=JSON."""
    return {key: json.loads(value) for key, value in (word.split("=") for word in words)}
