"""Which accuracies are targets, and how many images the finals take until each."""

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
from reports.winners import Winners
from studies.definition import SweepDefinition

OF_OWN_DATA = (0.80, 0.90, 0.95, 0.99)  # where no winner says what can be reached
TESTED = 2.0  # times the median winner's validation error: the target whose time is judged
ERRORS = (4.0, TESTED, 1.25)


def target_accuracies(definition: SweepDefinition, winners: Winners) -> tuple[float, ...]:
    """Return the targets (fractions), the easiest first: multiples of the error that the winners had in tuning.

    So they are chosen before a final is seen. Of a single run, which has no winner, they are the dataset's.
    """
    targets = [target for times in ERRORS if (target := _at_error(winners, times)) is not None]
    if targets:
        return tuple(dict.fromkeys(targets))
    dataset = definition.base.dataset
    return DATASETS[dataset.name].targets if isinstance(dataset, DatasetConfig) else OF_OWN_DATA


def judged_target(winners: Winners) -> float | None:
    """Return the target whose time is judged; None where no winner says one that is above 0."""
    return _at_error(winners, TESTED)


def _at_error(winners: Winners, times: float) -> float | None:
    errors = [1 - each.validation_accuracy for of in winners.values() for each in of]
    target = round(1 - times * median(errors), 3) if errors else 0.0
    return target if 0 < target < 1 else None


def time_to_target(
    runs: pd.DataFrame, courses: pd.DataFrame, definition: SweepDefinition, accuracy: float
) -> TimeToTarget:
    """Return when each final that completed or diverged reached the accuracy, by the course of its points."""
    finals = runs[(runs["stage"] == Stage.FINAL) & runs["outcome"].isin([Outcome.COMPLETED, Outcome.DIVERGED])]
    size = definition.base.dataset.train_size
    by_run = {run_id: course.sort_values("epochs") for run_id, course in courses.groupby("run_id")}
    images: dict[str, dict[int, dict[int, float | None]]] = {}
    counts: dict[str, list[float]] = {}
    within = []
    for name in definition.optimizers:
        for row in finals[finals["optimizer"] == name].to_dict("records"):
            at = by_run[row["run_id"]] if row["run_id"] in by_run else courses.iloc[:0]
            epochs, reached = at["epochs"].tolist(), (at["accuracy"] >= accuracy).to_numpy().nonzero()[0]
            first = int(reached[0]) if len(reached) else None
            until = math.inf if first is None else epochs[first] * size
            images.setdefault(name, {}).setdefault(int(row["replicate"]), {})[int(row["seed"])] = until
            counts.setdefault(name, []).append(math.inf if first is None else first + 1)
            if first:
                within.append(math.log(epochs[first] / epochs[first - 1]) ** 2)
    return TimeToTarget(
        accuracy=accuracy,
        images=images,
        points={name: median(each) for name, each in counts.items()},
        horizon=float(definition.final_epochs * size),
        least_variance=float(np.mean(within)) / 12 if within else 0.0,
    )


def targets_frame(
    runs: pd.DataFrame,
    courses: pd.DataFrame,
    seconds: Mapping[str, float],
    optimizers: Sequence[str],
    targets: Sequence[float],
) -> pd.DataFrame:
    """When the finals that completed or diverged reached each target: one row per optimizer, seed and target.

    Columns: run_id, optimizer, seed, target (a validation accuracy, or a test accuracy where no validation was
    measured; fraction), epochs (until the first point of the course that is at the target or above; infinite where it
    never got there), seconds (of training: these epochs at `seconds` an epoch, the mean of its finals).
    """
    ended = runs[(runs["stage"] == "final") & runs["outcome"].isin(["completed", "diverged"])]
    rows = []
    for optimizer in optimizers:
        for final in ended[ended["optimizer"] == optimizer].to_dict("records"):
            course = courses[courses["run_id"] == final["run_id"]]
            for target in targets:
                count = float(course.loc[course["accuracy"] >= target, "epochs"].min())
                count = math.inf if math.isnan(count) else count
                at = {"run_id": final["run_id"], "optimizer": optimizer, "seed": final["seed"], "target": target}
                rows.append(at | {"epochs": count, "seconds": count * seconds.get(optimizer, math.nan)})
    return pd.DataFrame(rows, columns=["run_id", "optimizer", "seed", "target", "epochs", "seconds"])


def targets_summary(targets: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per optimizer: for each target, how many seeds reached it, and the median epochs and seconds until then.

    The median is None where half of the seeds or more never got there.
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
