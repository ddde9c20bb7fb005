"""Sweeps beside the usual Optuna and MLflow example: seconds until the winners are known."""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from scipy import stats

from tests.contenders.record import contend, markdown, record
from tests.contenders.sweeps import FIXED
from tests.mnist_folder import write_mnist

ROUNDS = 2
LEAST = {"fixed, float32": 2.0, "fixed, fast": 2.6, "default, float32": 3.5, "default, fast": 5.0}
MOST_OVERHEAD = 0.02  # of the time of a sweep in one process
MOST_MIB = 300  # of a worker, beside what it shares with the process that imported torch


def main() -> None:
    """a fixed list of trials and the default sweep, two workers, against one Optuna study with a plain loop"""
    measured: dict[str, list[dict[str, Any]]] = {}

    def sweep(name: str, module: str, variant: str, epochs: int) -> dict[str, Any]:
        (swept,) = contend(module, variant, Path(folder), epochs)
        print(f"{name}: {swept}", flush=True)
        measured.setdefault(name, []).append(swept)
        return swept

    with tempfile.TemporaryDirectory() as folder:
        write_mnist(Path(folder))
        for _ in range(ROUNDS):
            for precision in ("float32", "fast"):
                sweep(f"fixed, {precision}", "our_sweep", f"fixed {precision} 2", 1)
            sweep("fixed, optuna-plain", "optuna_plain", FIXED, 1)
        sweep("fixed, one process", "our_sweep", "fixed float32 inline", 2)
        for precision in ("float32", "fast"):
            swept = sweep(f"default, {precision}", "our_sweep", f"default {precision} 2", 2)
        sweep("default, optuna-plain", "optuna_plain", str(swept["configurations"]), 2)

    seconds = {name: statistics.median(each["seconds"] for each in swept) for name, swept in measured.items()}
    ratios = {name: seconds[f"{name.split(',')[0]}, optuna-plain"] / seconds[name] for name in LEAST}
    rows = [
        [
            name,
            f"{seconds[name]:.0f}",
            f"{ratios[name]:.2f}" if name in ratios else "",
            str(swept[-1]["configurations"]),
            f"{statistics.mean(swept[-1]['finals']):.2%}" if swept[-1]["finals"] else "",
            f"{swept[-1]['busy']:.1%}" if swept[-1]["busy"] else "",
            f"{swept[-1]['worker_bytes'] / 2**20:.0f}" if swept[-1]["worker_bytes"] else "",
        ]
        for name, swept in measured.items()
    ]
    header = [
        "",
        "seconds",
        "times sooner",
        "configurations",
        "winner's finals",
        "training",
        "MiB a worker",
    ]
    record("sweeps", measured, ratios, LEAST, markdown(header, rows))
    overhead = 1 - measured["fixed, one process"][0]["busy"]
    assert overhead < MOST_OVERHEAD, f"tracking, state and coordination take {overhead:.1%} of a sweep"
    largest = max(each["worker_bytes"] for swept in measured.values() for each in swept) / 2**20
    assert largest < MOST_MIB, f"a worker takes {largest:.0f} MiB"
    for precision in ("float32", "fast"):
        ours, plain = measured[f"default, {precision}"][0]["finals"], measured["default, optuna-plain"][0]["finals"]
        worse = stats.ttest_ind(ours, plain, equal_var=False, alternative="less").pvalue
        assert worse > 0.05, f"default, {precision}: finals {ours} are worse than optuna-plain's {plain}"
