"""The start of a local worker, until it can train: it is there and has read the data. Of the first and of a second.

The first waits for the process that both are forked from, which imports what they need.
"""

import time
from pathlib import Path

from harness.provenance.origin import load_cached_splits
from studies.executors.pool import open_pool
from tests.contenders import Timed
from tests.contenders.sweeps import default_sweep


def run(folder: Path, epochs: int, variant: str) -> list[Timed]:
    return [Timed(_seconds(folder), None) for _ in range(2)]


def _seconds(folder: Path) -> float:
    started = time.perf_counter()
    with open_pool("local", 1) as pool:
        pool.executor.submit(_read, folder).result()
        return time.perf_counter() - started


def _read(folder: Path) -> None:
    base = default_sweep().base
    load_cached_splits(base.dataset, base.device, folder)
