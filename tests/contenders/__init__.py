"""The chapter's run as different people would have it, and ours: each timed in a process of its own.

A module here has `run(folder, epochs, variant) -> list[Timed]`: the chapter's network, optimizer, batch sizes and
images, two threads, each epoch evaluated on the test set.
"""

from dataclasses import dataclass

THREADS = 2


@dataclass(frozen=True)
class Timed:
    """An epoch: seconds of training and evaluation together, and the fraction of the test images that is right.

    None where nothing is learned.
    """

    seconds: float
    accuracy: float | None
