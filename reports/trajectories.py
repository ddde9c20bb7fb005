"""Measure how far a run was trained, what it spent, its latest accuracy, and the median of several runs' lines."""

import numpy as np
import pandas as pd

from harness.records import POINT_ACCURACY, Outcome, Tag, epochs_begun
from harness.tracking.tracker import TrackedRun


def epoch_images(run: TrackedRun) -> int:
    """Return the training images in an epoch of the run; 0 if it has no params."""
    return int(run.params.get("dataset.train_size", 0))


def epochs_trained(run: TrackedRun, whole: int) -> float:
    """Return how many epochs a run has trained, with fractions; `whole` is the number of its whole epochs."""
    size = epoch_images(run)
    if not size:
        return whole
    images = int(run.tags.get(Tag.IMAGES, max(run.history.get(POINT_ACCURACY, {}), default=0)))
    return max(whole, images / size)


def epochs_spent(run: TrackedRun, whole: int) -> float:
    """Return the epochs that a trial counts against its study's budget: more than it trained if it broke off."""
    size = epoch_images(run)
    if size and Tag.SPENT in run.tags:
        return int(run.tags[Tag.SPENT]) / size
    outcome = run.tags.get(Tag.OUTCOME)
    broke_off = outcome in (Outcome.DIVERGED, Outcome.FAILED)
    return epochs_begun(whole, outcome) if broke_off else epochs_trained(run, whole)


def last_accuracy(run: TrackedRun, epoch: float | None, accuracy: float | None) -> float | None:
    """Return the latest validation accuracy: that of the last epoch, or of a point measured after it."""
    points = run.history.get(POINT_ACCURACY, {})
    last = max(points, default=0)
    return points[last] if last > (epoch or 0) * epoch_images(run) else accuracy


def median_lines(data: pd.DataFrame, against: str) -> pd.DataFrame:
    """Return the median over each optimizer's runs, at every measured place from where all of these runs have begun.

    `data` has the columns optimizer, run_id, value and `against` (the place). Runs with different batch sizes are
    measured at slightly different places. Between its own places, a run is interpolated linearly in the logarithms of
    place and value, as its line is drawn. A run that diverged counts until its last place.
    """
    found = []
    for name, mine in data[(data[against] > 0) & (data["value"] > 0)].groupby("optimizer", sort=False):
        logs = mine[[against, "value"]].apply(np.log).assign(run_id=mine["run_id"])
        runs = [each.sort_values(against) for _, each in logs.groupby("run_id")]
        first = max(each[against].iloc[0] for each in runs)
        places = np.unique(logs[against][logs[against] >= first])
        values = [np.interp(places, each[against], each["value"], right=np.nan) for each in runs]
        frame = {"optimizer": name, against: np.exp(places), "value": np.exp(np.nanmedian(values, axis=0))}
        found.append(pd.DataFrame(frame))
    return pd.concat(found)
