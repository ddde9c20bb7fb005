"""Choose target accuracies, and measure how many images the finals need to reach each."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from harness.config import DATASETS, DatasetConfig
from harness.records import Outcome, Stage
from reports.curves import median_or_never
from reports.verdicts import TimeToTarget
from reports.winners import ENDED, Winners
from studies.definition import SweepDefinition

OF_OWN_DATA = (0.80, 0.90, 0.95, 0.99)  # the targets on a user's own dataset without a winner
TESTED = 2.0  # the target with this many times the median winner's validation error is judged
ERRORS = (4.0, TESTED, 1.25)  # the targets, as multiples of the median winner's validation error


def target_accuracies(definition: SweepDefinition, winners: Winners) -> tuple[float, ...]:
    """Return the targets (fractions), the easiest first: multiples of the validation error of the winners.

    They are thus fixed before any final is seen. A single run has no winner, and uses its dataset's targets.
    """
    targets = [target for times in ERRORS if (target := _at_error(winners, times)) is not None]
    if targets:
        return tuple(dict.fromkeys(targets))
    dataset = definition.base.dataset
    return DATASETS[dataset.name].targets if isinstance(dataset, DatasetConfig) else OF_OWN_DATA


def origin_of_targets(definition: SweepDefinition, winners: Winners) -> str:
    """Say where the targets come from: the winners' error, if they make mistakes, or the dataset."""
    if any(_at_error(winners, times) is not None for times in ERRORS):
        return "multiples of the winners' validation error in tuning"
    is_own = not isinstance(definition.base.dataset, DatasetConfig)
    return "the same for all own data" if is_own else "declared for the dataset"


def judged_target(winners: Winners) -> float | None:
    """Return the target accuracy for the verdicts on time; None if winners are too bad for one above 0."""
    return _at_error(winners, TESTED)


def _at_error(winners: Winners, times: float) -> float | None:
    errors = [1 - each.validation_accuracy for of in winners.values() for each in of]
    target = round(1 - times * median(errors), 3) if errors else 0.0
    return target if 0 < target < 1 else None


def horizons(definition: SweepDefinition) -> dict[str, float]:
    """Return the images of a whole final by optimizer; a variant may have a training set of its own size."""
    return {name: float(definition.images(name, definition.final_epochs)) for name in definition.optimizers}


def time_to_target(
    runs: pd.DataFrame, courses: pd.DataFrame, definition: SweepDefinition, accuracy: float
) -> TimeToTarget:
    """Return the images at which each final reached the accuracy, by its measured points; None for a failed final."""
    finals = runs[(runs["stage"] == Stage.FINAL) & runs["outcome"].isin(ENDED)]
    by_run = {run_id: course.sort_values("epochs") for run_id, course in courses.groupby("run_id")}
    images: dict[str, dict[int, dict[int, float | None]]] = {}  # a seed left out would leave all pairs without a look
    counts: dict[str, list[float]] = {}
    within = []
    for name in definition.optimizers:
        size = definition.images(name, 1)
        for row in finals[finals["optimizer"] == name].to_dict("records"):
            by_seed = images.setdefault(name, {}).setdefault(int(row["replicate"]), {})
            if row["outcome"] == Outcome.FAILED:
                by_seed[int(row["seed"])] = None
                continue
            at = by_run[row["run_id"]] if row["run_id"] in by_run else courses.iloc[:0]
            epochs, reached = at["epochs"].tolist(), (at["accuracy"] >= accuracy).to_numpy().nonzero()[0]
            first = int(reached[0]) if len(reached) else None
            by_seed[int(row["seed"])] = math.inf if first is None else epochs[first] * size
            counts.setdefault(name, []).append(math.inf if first is None else first + 1)
            if first:
                within.append(math.log(epochs[first] / epochs[first - 1]) ** 2)
    return TimeToTarget(
        accuracy=accuracy,
        images=images,
        points={name: median(each) for name, each in counts.items()},
        horizon=horizons(definition),
        least_variance=float(np.mean(within)) / 12 if within else 0.0,
    )


def targets_frame(
    runs: pd.DataFrame,
    courses: pd.DataFrame,
    seconds: Mapping[str, float],
    sizes: Mapping[str, int],
    targets: Sequence[float],
) -> pd.DataFrame:
    """Return when completed and diverged finals reached each target: one row per optimizer, seed and target.

    Columns: run_id, optimizer, seed, target (accuracy as a fraction, on validation, or on test without validation),
    epochs (until the first measurement at or above the target; infinite if there is none), images (`epochs` times the
    optimizer's number in `sizes`), seconds (of training: `epochs` times `seconds`, the optimizer's mean seconds per
    epoch).
    """
    ended = runs[(runs["stage"] == "final") & runs["outcome"].isin(["completed", "diverged"])]
    rows = []
    for optimizer, size in sizes.items():
        for final in ended[ended["optimizer"] == optimizer].to_dict("records"):
            course = courses[courses["run_id"] == final["run_id"]]
            for target in targets:
                count = float(course.loc[course["accuracy"] >= target, "epochs"].min())
                count = math.inf if math.isnan(count) else count
                at = {"run_id": final["run_id"], "optimizer": optimizer, "seed": final["seed"], "target": target}
                taken = {"images": count * size, "seconds": count * seconds.get(optimizer, math.nan)}
                rows.append(at | {"epochs": count} | taken)
    return pd.DataFrame(rows, columns=["run_id", "optimizer", "seed", "target", "epochs", "images", "seconds"])


def targets_summary(targets: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row per optimizer: for each target, the seeds that reached it, and the median epochs and seconds.

    A median is None if at least half of the seeds did not reach the target.
    """
    rows = []
    for optimizer, mine in targets.groupby("optimizer", sort=False):
        cells = []
        for target, of in mine.groupby("target"):
            reached = int(np.isfinite(of["epochs"]).sum())
            epochs = median_or_never(of["epochs"].tolist())
            seconds = median_or_never(of["seconds"].tolist()) if of["seconds"].notna().all() else None
            cells.append(
                {"target": target, "reached": reached, "seeds": len(of), "epochs": epochs, "seconds": seconds}
            )
        rows.append({"optimizer": optimizer, "targets": cells})
    return rows
