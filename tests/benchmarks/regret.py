"""What a search misses: the sampler `prior` beside TPE and random, with a good and with a misleading start."""

import functools
import hashlib
import json
import math
from pathlib import Path
from unittest import mock

import numpy as np

from experiments import catalog
from harness.config import RunConfig, canonical_json, steps_per_epoch, validated
from harness.records import Stage, Tag
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool
from studies.sweep import run_sweep
from tests.benchmarks import scale
from tests.contenders.record import markdown
from tests.memory_tracker import MemoryTracker

STORED = Path(__file__).parent / "stored" / "regret.json"
SEARCHES = 20
BUDGETS = (2, 6)  # epochs
SAMPLERS = ("prior", "tpe", "random")
BEST_RATES = {"good start": 1.5e-3, "misleading start": 1.5e-2}  # Adam's start is 1e-3
BEST = 98.7
SPREAD = 0.1  # s.d. of a seed, in points


def main() -> None:
    """points of accuracy that a search's winner lies below the best configuration, by sampler, start and budget"""
    found = {
        start: {sampler: {str(budget): regret(sampler, rate, budget) for budget in BUDGETS} for sampler in SAMPLERS}
        for start, rate in BEST_RATES.items()
    }
    STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table_of(found))
    for start in BEST_RATES:
        for budget in map(str, BUDGETS):
            prior, uniform = found[start]["prior"][budget], found[start]["tpe"][budget]
            assert prior <= uniform + 0.05, f"{start}, {budget} epochs: {prior:.2f} against {uniform:.2f}"


def table_of(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the table of the document."""
    rows = [
        [start, sampler, *(f"{value:.2f}" for value in of.values())]
        for start, samplers in found.items()
        for sampler, of in samplers.items()
    ]
    return markdown(["start", "sampler", *(f"{budget} epochs" for budget in BUDGETS)], rows)


def regret(sampler: str, rate: float, budget: int) -> float:
    """Return the mean regret of the winners of many searches, in points."""
    declared = catalog.load_sweep("optimizers").sweep.model_dump()
    changes = {"optimizers": ["adam"], "sampler": sampler, "budget": budget, "replicates": SEARCHES}
    changes |= {"final_seeds": [1], "start_finals": False, "spaces": {"adam": declared["spaces"]["adam"]}}
    definition = validated(SweepDefinition, declared | changes)
    tracker = MemoryTracker()
    chance = functools.partial(measured, rate)
    with mock.patch.object(scale, "chance", chance), scale.NullWorkers(2) as workers:
        run_sweep("regret", definition, tracker, WorkerPool(workers, 2))
    finals = [run for run in tracker.runs.values() if run.tags[Tag.STAGE] == Stage.FINAL]
    assert len(finals) == SEARCHES
    return float(np.mean([BEST - true_accuracy(run.params, rate) for run in finals]))


def true_accuracy(params: dict[str, float], rate: float) -> float:
    """Return what a configuration has after a whole epoch, without luck, in points."""
    decades = math.log10(params["optimizer.lr"] / rate)
    dropout = (params["model.dropout.0"] - 0.05) ** 2 + (params["model.dropout.1"] - 0.15) ** 2
    return BEST - 1.2 * decades**2 - 2 * dropout - 0.15 * math.log2(params["batch_size"] / 32)


def measured(rate: float, config: RunConfig, step: int) -> float:
    """Return the accuracy (a fraction) after so many steps: lower and noisier the fewer of an epoch they are."""
    part = step / steps_per_epoch(config)
    params = {
        "optimizer.lr": config.optimizer.lr,
        "model.dropout.0": config.model.dropout[0],
        "model.dropout.1": config.model.dropout[1],
        "batch_size": config.batch_size,
    }
    digest = hashlib.sha256(f"{canonical_json(config)} {step}".encode()).digest()
    luck = np.random.default_rng(list(digest[:8])).normal(scale=SPREAD / math.sqrt(part))
    return min(1.0, max(0.1, (true_accuracy(params, rate) - 4 * (1 / math.sqrt(part) - 1) / 2 + luck) / 100))
