"""SGD, Adam and sign descent on my own bars, with rates at which some diverge and some fail."""

from bars_run import base

from studies.definition import SweepDefinition
from studies.space import Choice, Range

OWN = "bars:SignDescent"
sweep = SweepDefinition(
    base=base,
    optimizers=("shrinking sgd", "slow adam", OWN),
    variants={
        "shrinking sgd": {"optimizer.name": "sgd", "optimizer.weight_decay": 0.1},
        "slow adam": {"optimizer.name": "adam", "optimizer.betas": [0.95, 0.999]},
    },
    space={"model.width": Choice(choices=(4, 8)), "model.dropout": Range(low=0, high=0.3)},
    spaces={
        "shrinking sgd": {"optimizer.lr": Range(low=1e-3, high=1e6, log=True, start=0.1)},
        "slow adam": {"optimizer.lr": Range(low=1e-4, high=0.1, log=True, start=0.01)},
        OWN: {"optimizer.lr": Range(low=1e-3, high=0.3, log=True, start=0.01)},
    },
    budget=8,
    trial_epochs=2,
    final_seeds=(1, 2),
    final_epochs=2,
    subset=True,
)
