"""What the sweeps of the contenders have in common: the fixed list of trials, our definitions, what is measured."""

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from experiments import catalog
from harness.config import with_settings
from studies.definition import SweepDefinition
from studies.space import Choice
from tests.contenders.record import markdown

Sweeps = dict[str, list[dict[str, Any]]]  # by name, what `Swept` holds
MOST_MIB = 300  # of a worker, beside what it shares with the process that imported torch

FIXED = "fixed"  # a list of ten trials, all trained to their ends
OPTIMIZERS = {"sgd": 0.1, "adagrad": 0.01, "adadelta": 0.5, "rmsprop": 1e-3, "adam": 1e-3}  # and learning rates
BATCH_SIZES = (32, 64)
FIXED_TRIALS = [(name, rate, size) for name, rate in OPTIMIZERS.items() for size in BATCH_SIZES]


def default_sweep(seed: int = 0) -> SweepDefinition:
    """Return one replicate of the default sweep, with the search, the runs and the finals of a seed."""
    sweep = catalog.load_sweep("optimizers").sweep
    base = with_settings(sweep.base, {"seed": seed})
    finals = tuple(100 * seed + final for final in sweep.final_seeds)
    return sweep.model_copy(update={"base": base, "seed": seed, "final_seeds": finals, "replicates": 1})


def fixed_sweep(epochs: int) -> SweepDefinition:
    """The fixed list of trials of so many epochs as one of ours."""
    return SweepDefinition(
        base=with_settings(default_sweep().base, {"memory_format": "contiguous", "fused": False}),
        optimizers=tuple(OPTIMIZERS),
        space={"batch_size": Choice(choices=BATCH_SIZES)},
        spaces={name: {"optimizer.lr": Choice(choices=(rate,))} for name, rate in OPTIMIZERS.items()},
        sampler="grid",
        pruning=False,
        budget=len(BATCH_SIZES) * epochs,
        trial_epochs=epochs,
        final_seeds=(1,),
        final_epochs=epochs,
    )


def times_sooner(measured: Sweeps, ours: Iterable[str], plain: str) -> dict[str, float]:
    """Return how many times sooner than the plain example each of our sweeps ended, by the medians."""
    return {name: _seconds(measured[plain]) / _seconds(measured[name]) for name in ours}


def times_as_many(measured: Sweeps, ours: Iterable[str], plain: str) -> dict[str, float]:
    """Return each of our sweeps' configurations per second as a multiple of the plain example's, by the medians."""
    pace = {
        name: statistics.median(each["configurations"] / each["seconds"] for each in swept)
        for name, swept in measured.items()
    }
    return {name: pace[name] / pace[plain] for name in ours}


def table(measured: Sweeps, ratios: Mapping[str, float], ratio: str = "times sooner") -> str:
    """Return a table with a row for each sweep: medians over its rounds, the spread of seconds, and finals."""
    rows = [
        [
            name,
            f"{_seconds(swept):.0f}",
            f"{min(_each(swept, 'seconds')):.0f} to {max(_each(swept, 'seconds')):.0f}",
            f"{ratios[name]:.2f}" if name in ratios else "",
            str(swept[-1]["configurations"]),
            f"{statistics.mean(best_finals(swept)):.2%}" if finals(swept) else "",
            f"{statistics.median(finals(swept)):.2%}" if finals(swept) else "",
            f"{busy(swept):.1%}" if busy(swept) else "",
            f"{_mebibytes(swept):.0f}" if _mebibytes(swept) else "",
        ]
        for name, swept in measured.items()
    ]
    columns = ["configurations", "best winner's finals", "all winners', median", "training", "MiB a worker"]
    return markdown(["", "seconds", "least to most", ratio, *columns], rows)


def finals(swept: list[dict[str, Any]]) -> list[float]:
    """Return the finals of every optimizer's winner in all rounds."""
    return [final for each in swept for winner in each["winners"].values() for final in winner["finals"]]


def best_finals(swept: list[dict[str, Any]]) -> list[float]:
    """Return the finals of the winners that validated best in each round, of all of them if several are equal."""
    return [
        final
        for each in swept
        for winner in each["winners"].values()
        if winner["validation"] == max(other["validation"] for other in each["winners"].values())
        for final in winner["finals"]
    ]


def busy(swept: list[dict[str, Any]]) -> float:
    """Return the share of a sweep's time in which its workers train and evaluate."""
    return statistics.median(_each(swept, "busy"))


def require_small_workers(measured: Sweeps) -> None:
    """Raises AssertionError where a worker took more memory than it may."""
    largest = max(map(_mebibytes, measured.values()))
    assert largest < MOST_MIB, f"a worker takes {largest:.0f} MiB"


def _seconds(swept: list[dict[str, Any]]) -> float:
    return statistics.median(_each(swept, "seconds"))


def _mebibytes(swept: list[dict[str, Any]]) -> float:
    return max(_each(swept, "worker_bytes")) / 2**20


def _each(swept: list[dict[str, Any]], what: str) -> list[float]:
    return [each[what] for each in swept]
