"""What the report of a large sweep costs, in a process of its own."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.many_runs import make_sweep

RUNS, EPOCHS = 2_000, 20
MOST_ROWS_BYTES = 20_000  # of the database, for a run and epoch
MOST_SECONDS, MOST_BYTES = 30, 2**30


def main() -> None:
    """seconds and memory of `harness report` on 2,000 runs of 20 epochs, trajectories too, in SQLite (30 s, 1 GiB)"""
    with tempfile.TemporaryDirectory() as folder:
        make_sweep(Path(folder), RUNS, EPOCHS)
        grown = (Path(folder) / "mlflow.db").stat().st_size / RUNS / EPOCHS
        environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        command = [sys.executable, "-c", "from experiments.cli import main; main()", "report"]
        environment["PYTHONPATH"] = str(Path.cwd())
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        watched = psutil.Process(process.pid)
        peak = 0
        while process.poll() is None:
            peak = max(peak, watched.memory_info().rss)
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        assert process.returncode == 0, "the report was written"
        page = Path(process.stdout.read().strip())
        size = page.stat().st_size
    print(f"{RUNS:,} runs: {seconds:.1f} s, {peak / 2**20:.0f} MiB at most; the page has {size / 1e6:.1f} MB")
    print(f"the database has {grown / 1e3:.1f} kB for a run and epoch")
    assert grown < MOST_ROWS_BYTES, f"{grown:.0f} bytes of the database for a run and epoch, goal {MOST_ROWS_BYTES}"
    assert seconds < MOST_SECONDS, f"{seconds:.1f} s, goal {MOST_SECONDS}"
    assert peak < MOST_BYTES, f"{peak / 2**20:.0f} MiB, goal {MOST_BYTES / 2**20:.0f}"
    assert size < 3.5e6, f"{size} bytes, goal 3.5 MB"
