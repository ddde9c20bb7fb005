"""A fixed list of trials beside the usual Optuna and MLflow example: seconds until all end, and a worker begins."""

import tempfile
from pathlib import Path

from tests.contenders.record import contend, record
from tests.contenders.sweeps import FIXED, Sweeps, busy, require_small_workers, table, times_sooner
from tests.mnist_folder import write_mnist

ROUNDS = 3
PLAIN = "optuna-plain"
LEAST = {"float32": 2.0, "fast": 2.6}
MOST_OVERHEAD = 0.02  # of the time of a sweep in one process
MOST_START = 4.0  # seconds


def main() -> None:
    """ten trials to their ends, two workers, against a study with a plain loop; coordination; a worker's start"""
    measured: Sweeps = {}
    with tempfile.TemporaryDirectory() as folder:
        write_mnist(Path(folder))

        def sweep(name: str, module: str, variant: str, epochs: int) -> None:
            measured.setdefault(name, []).extend(contend(module, variant, Path(folder), epochs))
            print(f"{name}: {measured[name][-1]}", flush=True)

        for _ in range(ROUNDS):
            for precision in LEAST:
                sweep(precision, "our_sweep", f"{FIXED} {precision} 2", 1)
            sweep(PLAIN, "optuna_plain", FIXED, 1)
        # two epochs a trial, as in the default sweep: what is begun once weighs as in a sweep
        sweep("float32, one process", "our_sweep", f"{FIXED} float32 inline", 2)
        first, second = (each["seconds"] for each in contend("worker", "", Path(folder), 0))

    ratios = times_sooner(measured, LEAST, PLAIN)
    starts = f"A first worker can train after {first:.1f} s, a second one after {second:.1f} s."
    record("sweeps", measured | {"starts": [first, second]}, ratios, LEAST, f"{table(measured, ratios)}\n\n{starts}")
    overhead = 1 - busy(measured["float32, one process"])
    assert overhead < MOST_OVERHEAD, f"tracking, state and coordination take {overhead:.1%} of a sweep"
    assert first < MOST_START, f"a worker starts in {first:.1f} s"
    require_small_workers(measured)
