"""What the sweeps of the contenders have in common: the fixed list of trials, and the definitions of ours."""

from experiments import catalog
from harness.config import with_settings
from studies.definition import SweepDefinition
from studies.space import Choice

FIXED = "fixed"  # a list of ten trials, all trained to their ends
OPTIMIZERS = {"sgd": 0.1, "adagrad": 0.01, "adadelta": 0.5, "rmsprop": 1e-3, "adam": 1e-3}  # and learning rates
BATCH_SIZES = (32, 64)
FIXED_TRIALS = [(name, rate, size) for name, rate in OPTIMIZERS.items() for size in BATCH_SIZES]


def default_sweep() -> SweepDefinition:
    """What `make sweep` does."""
    return catalog.load_sweep("optimizers").sweep


def fixed_sweep(epochs: int) -> SweepDefinition:
    """The fixed list of trials of so many epochs as one of ours."""
    return SweepDefinition(
        base=with_settings(default_sweep().base, {"memory_format": "contiguous"}),
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
