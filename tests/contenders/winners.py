"""Each optimizer's winner of a sweep, trained again on fresh seeds: by the same code, whoever found it."""

import functools
import itertools
from collections.abc import Iterable
from pathlib import Path

from harness.config import RunConfig, with_settings
from harness.provenance.origin import load_cached_splits
from harness.training.loop import initial_state
from studies.executors.local import LocalExecutor
from tests.contenders import Winner
from tests.training import train_epochs

WORKERS = 2


def winners(
    tried: Iterable[tuple[float, RunConfig]], seeds: tuple[int, ...], epochs: int, folder: Path
) -> dict[str, Winner]:
    """Return the winner of each optimizer among the tried configs, which come with their validation accuracies."""
    best: dict[str, tuple[float, RunConfig]] = {}
    for accuracy, config in tried:
        name = config.optimizer.name
        if name not in best or accuracy > best[name][0]:
            best[name] = accuracy, config
    configs = [with_settings(config, {"seed": seed, "threads": 1}) for _, config in best.values() for seed in seeds]
    with LocalExecutor(WORKERS) as pool:
        finals = pool.map(functools.partial(_final, epochs, folder), configs)
        return {
            name: Winner(accuracy, tuple(itertools.islice(finals, len(seeds))))
            for name, (accuracy, _) in best.items()
        }


def _final(epochs: int, folder: Path, config: RunConfig) -> float:
    """Return the accuracy on the test set, or chance (.1) where the run diverged."""
    splits = load_cached_splits(config.dataset, config.device, folder)
    metrics = train_epochs(config, initial_state(config), splits, epochs, ["test"]).metrics
    return metrics[-1].test_accuracy if len(metrics) == epochs else 0.1
