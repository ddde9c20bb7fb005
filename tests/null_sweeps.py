"""Simulated finals: optimizers that are the same, or the first of them better, under noise of several shapes."""

from collections.abc import Iterator

import numpy as np

TRUE_MEAN = 0.985
SPREAD = 0.001  # of a seed's accuracy, as the chapter's network has it on MNIST
SHARED = 0.0005  # of what the optimizers have in common on a seed
NOISES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "skewed": lambda rng, size: (4 - rng.gamma(4, 1, size)) / 2,
    "heavy": lambda rng, size: rng.standard_t(5, size) / np.sqrt(5 / 3),
}


def sweeps(
    count: int, seeds: int, noise: str = "normal", effect: float = 0.0
) -> Iterator[dict[str, dict[int, float]]]:
    """`count` sweeps of five optimizers, `a` better by `effect`; accuracies in steps of 1/10,000."""
    rng = np.random.default_rng([seeds, sorted(NOISES).index(noise), round(effect * 1e6)])
    for _ in range(count):
        values = TRUE_MEAN + SPREAD * NOISES[noise](rng, (5, seeds)) + SHARED * rng.normal(size=seeds)
        values[0] += effect
        yield {name: dict(enumerate(np.round(row, 4).tolist(), 1)) for name, row in zip("abcde", values, strict=True)}
