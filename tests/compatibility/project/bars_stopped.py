"""SGD and Adam on my own bars, a sweep that is going to be stopped."""

from bars_run import base

from studies.definition import SweepDefinition
from studies.space import Range

sweep = SweepDefinition(
    base=base,
    optimizers=("sgd", "adam"),
    space={"model.dropout": Range(low=0, high=0.3)},
    spaces={
        "sgd": {"optimizer.lr": Range(low=1e-3, high=0.3, log=True, start=0.1)},
        "adam": {"optimizer.lr": Range(low=1e-4, high=0.1, log=True, start=0.01)},
    },
    budget=8,
    trial_epochs=2,
    final_seeds=(1, 2),
    final_epochs=2,
    subset=True,
)
