"""Check what fields of a sweep's definition must be like together: seeds, rungs, looks, grids, lists of values."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.config import RunConfig
from harness.errors import BadInputError

JUDGED = "1 or more, since validation selects the winners"
LEAST_UNITS = 3  # with fewer finals (or replicates) nothing is claimed
NO_SPREAD = 1e-12  # values whose range is below this do not vary; float rounding alone gives more than 0
SEEDS_APART = 1000  # difference between the seeds of one replicate and those of the next
DECIDED_BY_THE_SWEEP = {
    "epochs": "the number of epochs in trial_epochs and final_epochs",
    "seed": "the seeds in base.seed (of trials) and final_seeds (of finals)",
}


def require_different(field: str, values: Sequence[Any]) -> None:
    """Refuse what would be trained twice, and compared with itself as if it were two.

    Raises:
        BadInputError: two of the values are equal.
    """
    twice = next((each for number, each in enumerate(values) if each in values[:number]), None)
    if twice is not None:
        raise BadInputError(
            field,
            list(values),
            f"contains {twice!r} twice",
            expected="different values",
            next_step="remove one of the two",
        )


def require_comparable(variant: str, settings: Mapping[str, Any]) -> None:
    """Refuse a variant that fixes the epochs or the seed, which are the same for all that a sweep compares.

    Raises:
        BadInputError: one of the settings is one of the two.
    """
    for key, expected in DECIDED_BY_THE_SWEEP.items():
        if key in settings:
            raise BadInputError(
                "variant",
                variant,
                f"fixes {key} to {settings[key]!r}, which the sweep decides for all variants",
                expected=expected,
                next_step=f"remove {key} from the variant",
            )


def require_seeds(final_seeds: Sequence[int], tuning: int, split: int, replicates: int) -> None:
    """Check that finals have seeds of their own, in each replicate. `tuning` is the seed of trials.

    Raises:
        BadInputError: a seed is there twice, or would be that of another replicate.
    """
    if len(set(final_seeds)) < len(final_seeds):
        raise BadInputError("final_seeds", final_seeds, "contain a seed twice", expected="different seeds")
    if tuning in final_seeds:
        raise BadInputError("final_seeds", final_seeds, f"contain the tuning seed {tuning}", expected="other seeds")
    seeds = (tuning, *final_seeds, split)
    if replicates > 1 and max(seeds) >= SEEDS_APART:
        raise BadInputError(
            "base.seed, final_seeds, base.dataset.split_seed",
            seeds,
            expected=f"less than {SEEDS_APART}, the distance between the seeds of two replicates",
        )


def require_looks(looks: Sequence[int], most: int, counted: str) -> None:
    """Check the looks of a sweep with `most` finals or replicates; `counted` says which of the two.

    Raises:
        BadInputError: they do not increase to `most`, or the first of several is too early for a verdict.
    """
    if list(looks) != sorted(set(looks)) or looks[-1] != most or (len(looks) > 1 and looks[0] < LEAST_UNITS):
        raise BadInputError(
            "looks",
            list(looks),
            expected=f"increasing numbers of {counted}, the first at least {LEAST_UNITS}, the last {most} (all)",
        )


def require_rungs(declared: Sequence[float] | None, rungs: Sequence[float], images: int) -> None:
    """Check the rungs (in epochs); `images` is the number of images on which trials are measured within an epoch.

    Raises:
        BadInputError: the declared rungs do not increase, or there are no images to measure trials on.
    """
    if declared is not None and list(declared) != sorted(set(declared)):
        raise BadInputError("rungs", list(declared), expected="epochs or fractions of epochs, in increasing order")
    if any(rung % 1 for rung in rungs) and not images:
        raise BadInputError(
            "rungs",
            list(rungs),
            "lie within an epoch, and base.trajectory.images is 0",
            expected="rungs at whole epochs, or 1 or more images to measure trials on",
            next_step="change one of the two",
        )


def require_paid_grid(points: Mapping[str, int], trial_epochs: int, budget: int, pruning: bool) -> None:
    """Check that the budget pays for each optimizer's grid, of which `points` has the numbers of points.

    Raises:
        BadInputError: trials are pruned, or the budget is another number of epochs than the grid needs.
    """
    if pruning:
        raise BadInputError(
            "sampler",
            "grid",
            "does not work with pruning",
            expected="a grid whose trials all train to the end",
            next_step="declare pruning = false, or use `no_pruning`",
        )
    for name, count in points.items():
        if count * trial_epochs != budget:
            raise BadInputError(
                "budget",
                budget,
                expected=f"{count * trial_epochs}, the {count} points of {name}'s grid at {trial_epochs} epochs each",
            )


def require_judged(config: RunConfig, rungs: Sequence[float]) -> None:
    """Check that there are validation images to judge a trial on at each of its rungs (in epochs) and at its end.

    Raises:
        BadInputError: there are none.
    """
    if config.dataset.validation_size == 0:
        raise BadInputError("dataset.validation_size", 0, expected=JUDGED)
    if any(rung % 1 for rung in rungs) and not config.trajectory.images:
        raise BadInputError(
            "trajectory.images",
            0,
            "leaves no images to measure a trial on at rungs within an epoch",
            expected="1 or more, or rungs at whole epochs",
        )
