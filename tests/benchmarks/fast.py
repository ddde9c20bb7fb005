"""Whether the fast profile is as good as float32: the chapter's run on five seeds each."""

import statistics
import tempfile
from pathlib import Path

from scipy import stats

from tests.contenders.record import contend, markdown, record
from tests.mnist_folder import write_mnist

SEEDS = range(1, 6)


def main() -> None:
    """final accuracy of the fast profile over five seeds, against the 95% interval of float32's"""
    accuracies: dict[str, list[float]] = {"float32": [], "fast": []}
    with tempfile.TemporaryDirectory() as folder:
        write_mnist(Path(folder))
        for seed in SEEDS:
            for precision, found in accuracies.items():
                found.append(contend("ours", f"{precision} seed={seed}", Path(folder), 2)[-1]["accuracy"])
    mean = {precision: statistics.mean(found) for precision, found in accuracies.items()}
    low, high = stats.ttest_1samp(accuracies["float32"], 0).confidence_interval()
    rows = [
        [precision, f"{mean[precision]:.2%}", ", ".join(f"{each:.2%}" for each in found)]
        for precision, found in accuracies.items()
    ]
    table = markdown(["", "mean", "seeds 1 to 5"], rows)
    record("fast", accuracies, {}, {}, f"{table}\n\nfloat32's 95% interval: {low:.2%} to {high:.2%}")
    assert mean["fast"] >= low, f"fast: {mean['fast']:.2%} is below float32's interval, {low:.2%} to {high:.2%}"
