"""Compute verdicts from finals that a test gives by optimizer and seed."""

import pandas as pd

from harness.config import RunConfig, validated
from reports.verdicts import Verdicts, find_verdicts
from reports.winners import Winner
from studies.definition import SweepDefinition
from studies.requirements import SEEDS_APART

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam")


def definition_of(finals, **changes) -> SweepDefinition:
    """Return the definition of a sweep with the final seeds that occur in `finals`."""
    seeds = sorted({seed % SEEDS_APART for of in finals.values() for seed in of}) or [1]
    values = {
        "base": RunConfig(seed=0, epochs=1).model_dump() | {"seed": 900},
        "optimizers": list(finals),
        "variants": {name: {"optimizer.name": "adam"} for name in finals if name not in OPTIMIZERS},
        "space": {},
        "spaces": {},
        "budget": 8,
        "trial_epochs": 1,
        "final_seeds": seeds,
        "final_epochs": 1,
        "margin": 0.2,
    }
    values["base"]["dataset"] |= {"validation_size": 10_000, "train_size": 50_000}
    return validated(SweepDefinition, values | changes)


def frame_of(finals, losses=None) -> pd.DataFrame:
    """Return the frame of runs for these test accuracies (fractions), None for a final that diverged."""
    rows = [
        {
            "optimizer": name,
            "stage": "final",
            "outcome": "diverged" if accuracy is None else "completed",
            "replicate": seed // SEEDS_APART + 1,
            "seed": str(seed),
            "test_accuracy": accuracy,
            "test_loss": None if accuracy is None else (losses or {}).get(name, {}).get(seed, 1 - accuracy),
        }
        for name, of in finals.items()
        for seed, accuracy in of.items()
    ]
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["optimizer", "stage", "outcome"])


def judged(finals, losses=None, target=None, **changes) -> Verdicts:
    """Return the verdicts on the finals, in a sweep whose definition has these changes."""
    return find_verdicts(frame_of(finals, losses), definition_of(finals, **changes), {}, target)


def winner(name, accuracy=0.98, replicate=1, is_start=False) -> Winner:
    """Return a winner of which only these facts matter."""
    return Winner(name, replicate, 0, "id", accuracy, None, {}, (), is_start)
