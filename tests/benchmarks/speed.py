"""One run beside what people use for it: seconds an epoch, evaluation included, and how far the floor is."""

import statistics
import tempfile
from pathlib import Path

from tests.contenders.record import contend, markdown, record
from tests.mnist_folder import write_mnist

ROUNDS = 3
CONTENDERS = {
    "plain": ("plain", "0"),
    "plain, 1 loader": ("plain", "1"),
    "plain, 2 loaders": ("plain", "2"),
    "lightning": ("lightning", ""),
    "skorch": ("skorch", ""),
    "ours": ("ours", "float32"),
    "ours, fast": ("ours", "fast"),
    "floor, float32": ("floor", "float32"),
    "floor, bfloat16": ("floor", "bfloat16"),
}
LEAST = {"ours": 1.3, "ours, fast": 2.0}  # times as fast as the plain loop


def main() -> None:
    """a run against the plain loop, Lightning, skorch and the floor, each in its own process, interleaved"""
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    accuracies: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_mnist(Path(folder))
        for _ in range(ROUNDS):
            for name, (module, variant) in CONTENDERS.items():
                (epoch,) = contend(module, variant, Path(folder), 1)
                seconds[name].append(epoch["seconds"])
                accuracies[name] = epoch["accuracy"]
    plain = statistics.median(seconds["plain"])
    ratios = {name: plain / statistics.median(times) for name, times in seconds.items()}
    rows = [
        [
            name,
            f"{statistics.median(times):.1f}",
            f"{min(times):.1f} to {max(times):.1f}",
            f"{ratios[name]:.2f}",
            "" if accuracies[name] is None else f"{accuracies[name] * 10_000:.0f}",
        ]
        for name, times in seconds.items()
    ]
    table = markdown(["", "seconds an epoch", "least to most", "times as fast as plain", "right of 10,000"], rows)
    ahead_of = max(ratios[name] for name in ("plain, 1 loader", "plain, 2 loaders", "lightning", "skorch"))
    measured = {"seconds": seconds, "accuracies": accuracies}
    record("speed", measured, ratios, LEAST | {"ours": max(LEAST["ours"], ahead_of)}, table)
