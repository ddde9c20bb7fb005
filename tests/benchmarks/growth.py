"""How cost grows with the work: batch size, images, threads and workers."""

import math
import statistics
import tempfile
from pathlib import Path

import pandas as pd
import seaborn

from tests.contenders.record import contend, markdown, record
from tests.mnist_folder import write_mnist

ROUNDS = 3
FIGURE = Path("benchmarks-growth.png")
RUNS = {  # ours, seconds of an epoch of 10,000 images and of the evaluation on the test set
    "batch size": {size: f"float32 dataset.train_size=10000 batch_size={size}" for size in (32, 64, 128, 256, 512)},
    "images": {size: f"float32 dataset.train_size={size}" for size in (7_500, 15_000, 30_000, 60_000)},
    "threads": {threads: f"float32 dataset.train_size=10000 threads={threads}" for threads in (1, 2)},
}
SWEEPS = {"workers": {workers: f"fixed float32 {workers} dataset.train_size=5000" for workers in (1, 2, 4)}}
MOST = {"batch size": 0.1, "images": 1.0, "threads": 0.1, "workers": 0.1}  # powers


def main() -> None:
    """seconds of an epoch against batch size, images and threads, and of a sweep against workers; as a figure too"""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_mnist(Path(folder))
        for _ in range(ROUNDS):
            for module, variants in (("ours", RUNS), ("our_sweep", SWEEPS)):
                for what, values in variants.items():
                    for value, variant in values.items():
                        (measured,) = contend(module, variant, Path(folder), 1)
                        rows.append({"what": what, "value": value, "seconds": measured["seconds"]})
                        print(rows[-1], flush=True)
    frame = pd.DataFrame(rows)
    exponents = {what: exponent(group) for what, group in frame.groupby("what")}
    draw(frame)
    medians = frame.groupby(["what", "value"], sort=False)["seconds"].median()
    table = markdown(
        ["cost of", "seconds", "grows as its power"],
        [
            [what, ", ".join(f"{value:,}: {seconds:.1f}" for value, seconds in medians[what].items()), f"{power:.2f}"]
            for what, power in exponents.items()
        ],
    )
    record("growth", {"rows": rows}, {}, {}, f"{table}\n\n![]({FIGURE})")
    for what, most in MOST.items():
        assert exponents[what] <= most, f"{what}: cost grows as its {exponents[what]:.2f}th power"


def exponent(group: pd.DataFrame) -> float:
    """Return the exponent of seconds as a power of the value, fitted to the logarithms of the medians."""
    seconds = group.groupby("value")["seconds"].median()
    return statistics.linear_regression(
        [math.log(value) for value in seconds.index], [math.log(each) for each in seconds]
    ).slope


def draw(frame: pd.DataFrame) -> None:
    """Draw seconds against each value, with the spread of the rounds."""
    grid = seaborn.relplot(
        frame,
        x="value",
        y="seconds",
        col="what",
        kind="line",
        marker="o",
        errorbar=("pi", 100),
        estimator="median",
        height=3,
        facet_kws={"sharex": False, "sharey": False},
    )
    grid.set(ylim=(0, None)).set_titles("{col_name}").set_axis_labels("", "seconds")
    for what, axes in grid.axes_dict.items():
        values = frame[frame["what"] == what]["value"].unique()
        axes.set_xticks(values, [f"{value:,}" for value in values], rotation=90)
    grid.savefig(FIGURE, dpi=120)
