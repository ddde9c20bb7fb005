"""How much of a final's luck the optimizers share on one seed, on the chapter's network."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from experiments.spaces import SHARED, SPACES
from harness.config import RunConfig, with_settings
from harness.slices import train_slice
from harness.training.devices import fast_settings
from studies.intervals import blocked, games_howell

STORED = Path(__file__).parent / "stored" / "luck.json"
OPTIMIZERS = ("sgd", "adagrad", "adadelta", "rmsprop", "adam")
SEEDS = range(1, 17)
WORKERS = 2
EPOCHS = 2  # as the chapter trains


def main() -> None:
    """five optimizers at their published starts on sixteen seeds: spread, what they share on a seed, intervals"""
    with ProcessPoolExecutor(WORKERS) as pool:
        table = _table(pool)
    STORED.parent.mkdir(exist_ok=True)
    STORED.write_text(json.dumps(dict(zip(OPTIMIZERS, table, strict=True)), indent=1) + "\n", encoding="utf-8")
    print(described(np.array(table)), flush=True)


def _table(pool: ProcessPoolExecutor) -> list[list[float]]:
    """Return test accuracies (%), a row an optimizer and a column a seed."""
    starts = {
        name: {key: each.start for key, each in (SPACES[name] | SHARED).items() if each.from_trials == 1}
        for name in OPTIMIZERS
    }
    common = fast_settings("cpu") | {"threads": 1, "trajectory.images": 0, "epochs": EPOCHS}
    said = [starts[name] | common | {"optimizer.name": name, "seed": seed} for name in OPTIMIZERS for seed in SEEDS]
    accuracies = []
    for number, accuracy in enumerate(pool.map(_accuracy, said), 1):
        accuracies.append(accuracy)
        print(f"{number} of {len(said)}: {accuracy:.2f}%", file=sys.stderr, flush=True)
    return np.reshape(accuracies, (len(OPTIMIZERS), len(SEEDS))).round(2).tolist()


def _accuracy(settings: dict[str, Any]) -> float:
    config, state, last = with_settings(RunConfig(), settings), None, None
    while last is None or last.epoch < config.epochs:
        after = train_slice(config, state, ("test",), None)
        assert after.divergence is None, settings
        state, last = after.state, after.metrics or last
    return 100 * float(last.test_accuracy or 0.0)


def described(table: np.ndarray) -> str:
    """Say what a table of optimizers by seeds shows: spreads, what a seed has for all of them, and half-widths."""
    optimizers, seeds = table.shape
    means, blocks = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    residual = ((table - means - blocks + table.mean()) ** 2).sum() / ((optimizers - 1) * (seeds - 1))
    between = optimizers * ((blocks - table.mean()) ** 2).sum() / (seeds - 1)
    p = stats.f.sf(between / residual, seeds - 1, (optimizers - 1) * (seeds - 1))
    correlations = np.corrcoef(table)[np.triu_indices(optimizers, 1)]
    variances = table.var(axis=1, ddof=1)
    unpaired = games_howell(means[:, 0], variances, np.full(optimizers, float(seeds))).widths
    in_blocks = blocked(table).widths
    pairs = np.triu_indices(optimizers, 1)
    return "\n".join(
        [
            *(
                f"  {name:<9} {mean:.2f}%, s.d. {np.sqrt(variance):.3f}"
                for name, mean, variance in zip(OPTIMIZERS, means[:, 0], variances, strict=True)
            ),
            f"  blocks: F {between / residual:.2f}, p {p:.3f}; mean correlation on a seed {correlations.mean():.2f}",
            f"  half-width: unpaired {unpaired[pairs].mean():.3f}, blocked {in_blocks[pairs].mean():.3f}",
        ]
    )
