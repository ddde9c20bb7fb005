"""Measure how fast each optimizer trains: seconds per epoch of its finals, and which are shown to be faster."""

import math
from collections.abc import Collection, Mapping

import pandas as pd

from reports.statistics import interval_of_mean
from studies.definition import LEVEL
from studies.requirements import LEAST_UNITS
from studies.verdicts import Verdict, judge, pairs_of_finals, pairs_of_replicates

MARGIN = 1.1  # a ratio of seconds; optimizers within it are equally fast


def pace_frame(runs: pd.DataFrame, replicates: int) -> pd.DataFrame:
    """Return one row per optimizer with a timed final, the fastest first.

    Columns: optimizer; mean of the training seconds per epoch over finals; low, high (its 95% interval, over units);
    units (seconds per epoch of each final by seed, or if the sweep has several `replicates`, the mean of the finals
    by replicate, since the winner of each replicate has a batch size of its own).
    """
    finals = runs[(runs["stage"] == "final") & runs["train_seconds"].notna()].astype({"train_seconds": float})
    rows = []
    for name, mine in finals.groupby("optimizer", sort=False):
        of_units = mine.groupby("replicate" if replicates > 1 else "seed")["train_seconds"].mean()
        low, high = None, None
        if len(of_units) >= LEAST_UNITS:
            low, high = interval_of_mean(of_units.tolist())
        mean = float(mine["train_seconds"].mean())
        rows.append({"optimizer": name, "mean": mean, "low": low, "high": high, "units": of_units.to_dict()})
    frame = pd.DataFrame(rows, columns=["optimizer", "mean", "low", "high", "units"])
    return frame.sort_values("mean", ignore_index=True)


def pace_in_words(pace: pd.DataFrame, replicates: int, lost: Collection[str] = ()) -> str:
    """Say how long an epoch takes, and which optimizers are shown to be faster; empty if nothing was timed.

    `lost` names optimizers that lost finals. One of them that was not timed in a replicate of the others is not
    compared, since its other replicates are a selection; else that replicate would be missing for all.
    """
    if not len(pace):
        return ""
    first, last = pace.iloc[0], pace.iloc[-1]
    if len(pace) == 1:
        return f"An epoch of {first['optimizer']} takes {first['mean']:.3g} s."
    said = (
        f"An epoch takes {first['mean']:.3g} s ({first['optimizer']}) to {last['mean']:.3g} s ({last['optimizer']})"
    )
    values = {
        each["optimizer"]: {unit: -math.log(seconds) for unit, seconds in each["units"].items()}
        for each in pace.to_dict("records")
    }
    left_out = _without_a_replicate(values, lost) if replicates > 1 else []
    values = {name: of for name, of in values.items() if name not in left_out}
    said += f" ({', '.join(left_out)} not compared: no timed final in a replicate)" if left_out else ""
    found = (
        pairs_of_replicates(values, LEVEL)
        if replicates > 1
        else pairs_of_finals({name: list(of.values()) for name, of in values.items()}, LEVEL)
    )
    pairs = [(each.better, each.worse, judge(each.low, each.high, math.log(MARGIN))) for each in found]
    faster: dict[str, list[str]] = {}
    for better, worse, verdict in pairs:
        if verdict in (Verdict.BETTER, Verdict.SLIGHTLY_BETTER):
            faster.setdefault(better, []).append(worse)
    if faster:
        shown = "; ".join(f"{name} than {', '.join(others)}" for name, others in faster.items())
        return f"{said}. Shown to be faster: {shown}."
    if pairs and all(verdict is Verdict.SAME for _, _, verdict in pairs):
        return f"{said}: all {'others ' if left_out else ''}are equally fast, within {MARGIN - 1:.0%}."
    return f"{said}. No optimizer is shown to be faster than another."


def _without_a_replicate(units: Mapping[str, Mapping[int, float]], lost: Collection[str]) -> list[str]:
    """Return the optimizers in `lost` that have no unit in a replicate in which all others have one."""
    of_others = [of.keys() for name, of in units.items() if name not in lost]
    whole = set.intersection(*map(set, of_others)) if of_others else set()
    return [name for name, of in units.items() if not whole <= of.keys()]
