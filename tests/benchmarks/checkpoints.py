"""What keeping a run's state costs."""

import tempfile
import time
from pathlib import Path
from statistics import median

from harness.config import OPTIMIZER_CONFIGS, RunConfig, with_settings
from harness.training.checkpoint import Checkpoint, load_latest, save
from harness.training.data import load_splits
from harness.training.loop import initial_state
from harness.training.state import RunState
from tests.training import train_epochs

REPEATS = 20


def main() -> None:
    """milliseconds to serialise, write (with fsync) and read a state, and its size, per optimizer"""
    base = with_settings(RunConfig(), {"dataset.train_size": 640})
    splits = load_splits(base.dataset, "cpu")
    for name in OPTIMIZER_CONFIGS:
        config = with_settings(base, {"optimizer.name": name})
        trained = train_epochs(config, initial_state(config), splits, 1, [])
        content = trained.state.to_bytes()
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Checkpoint(content, trained.metrics)
            durations = {
                "serialise": _median_ms(trained.state.to_bytes),
                "write": _median_ms(lambda: save(Path(folder), checkpoint)),  # noqa: B023
                "read": _median_ms(lambda: RunState.from_bytes(load_latest(Path(folder)).state)),
            }
        print(
            f"{name:<9} {len(content) / 2**20:4.1f} MiB  "
            + "  ".join(f"{what} {value:5.1f} ms" for what, value in durations.items())
        )


def _median_ms(call) -> float:
    durations = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return median(durations) * 1000
