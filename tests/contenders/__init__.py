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
class Swept:
    """A sweep: seconds until every trial has ended, how many configurations it tried, and its winner's finals.

    `finals` are fractions of the test images that are right, one of each seed, none after a fixed list of trials.
    Where several configurations validated best they are those of each: which of them is taken would be chance.
    `busy` is how much of those seconds the workers trained and evaluated; `worker_bytes`, the most memory that one
    of them took. 0 where it isn't known.
    """

    seconds: float
    configurations: int
    finals: tuple[float, ...]
    busy: float = 0.0
    worker_bytes: int = 0


def settings(words: Iterable[str]) -> dict[str, Any]:
    """Settings of a config, each as KEY=JSON."""
    return {key: json.loads(value) for key, value in (word.split("=") for word in words)}
