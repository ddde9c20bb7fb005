"""What an accuracy within the first epoch says of the one at its end, for small and large batches."""

import itertools

import numpy as np
from scipy.stats import kendalltau

from harness.config import RunConfig, with_settings
from harness.slices import train_slice

RATES = {"adam": (3e-4, 1e-3, 3e-3), "sgd": (0.03, 0.1, 0.3)}
BATCH_SIZES = (32, 64, 128, 256)
POINTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
FAST = {"precision": "bfloat16", "memory_format": "channels_last", "threads": 1}
MEASURED = {"epochs": 1, "trajectory.images": 2000}


def main() -> None:
    """how well the order of trials within the first epoch is that at its end, and which batch sizes lose by it"""
    for optimizer, rates in RATES.items():
        tried = list(itertools.product(rates, BATCH_SIZES))
        courses = np.array([course(optimizer, rate, batch_size) for rate, batch_size in tried])
        best = int(courses[:, -1].argmax())
        print(
            f"{optimizer}: {len(tried)} configurations, best at the end lr {tried[best][0]:g}, batch {tried[best][1]}"
        )
        print(
            f"{'epochs':<10} {'tau':>5} {'rank of best':>13}   best accuracy (%) at batch {BATCH_SIZES}, kept of each"
        )
        for index, point in enumerate(POINTS):
            now = courses[:, index]
            half = set(np.argsort(-now, kind="stable")[: len(tried) // 2].tolist())
            of_batch = [[at for at, each in enumerate(tried) if each[1] == size] for size in BATCH_SIZES]
            accuracies = " ".join(f"{100 * now[members].max():.2f}" for members in of_batch)
            kept = " ".join(str(len(half.intersection(members))) for members in of_batch)
            rank = 1 + int((now > now[best]).sum())
            tau = kendalltau(now, courses[:, -1]).statistic
            print(f"{point:<10g} {tau:>5.2f} {rank:>13}   {accuracies}   {kept}")
        assert kendalltau(courses[:, 2], courses[:, -1]).statistic > 0, "an eighth of an epoch says nothing"


def course(optimizer: str, rate: float, batch_size: int) -> list[float]:
    """Return the validation accuracy after each of `POINTS` epochs, on the part that is measured within epochs."""
    said = {"optimizer.name": optimizer, "optimizer.lr": rate, "batch_size": batch_size}
    config = with_settings(RunConfig(), said | FAST | MEASURED)
    state, points = None, ()
    while state is None or points[-1].images < config.dataset.train_size:
        after = train_slice(config, state, ("validation",), None)
        assert after.divergence is None, (said, after.divergence)
        state, points = after.state, (*points, *after.points)
    at = np.array([point.images for point in points]) / config.dataset.train_size
    return [points[int(np.abs(at - point).argmin())].validation_accuracy for point in POINTS]
