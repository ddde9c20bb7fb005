"""Measure how fast each optimizer trains: seconds per epoch of all finals, and which are shown to be faster."""

import math

import pandas as pd

from reports.statistics import interval_of_mean
from studies.definition import LEAST_UNITS, LEVEL
from studies.verdicts import Verdict, judge, pairs_of_finals

MARGIN = 1.1  # a ratio of seconds; optimizers within it are equally fast


def pace_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per optimizer with a timed final, the fastest first.

    Columns: optimizer; mean, low, high (95% interval) of the training seconds per epoch, over finals; finals (the
    seconds per epoch of each final, as a list).
    """
    finals = runs[(runs["stage"] == "final") & runs["train_seconds"].notna()]
    rows = []
    for name, mine in finals.groupby("optimizer", sort=False):
        seconds = mine["train_seconds"].astype(float).tolist()
        mean = sum(seconds) / len(seconds)
        low, high = None, None
        if len(seconds) >= LEAST_UNITS:
            low, high = interval_of_mean(seconds)
        rows.append({"optimizer": name, "mean": mean, "low": low, "high": high, "finals": seconds})
    frame = pd.DataFrame(rows, columns=["optimizer", "mean", "low", "high", "finals"])
    return frame.sort_values("mean", ignore_index=True)


def pace_in_words(pace: pd.DataFrame) -> str:
    """Say how long an epoch takes, and which optimizers are shown to be faster; empty if nothing was timed."""
    if not len(pace):
        return ""
    first, last = pace.iloc[0], pace.iloc[-1]
    if len(pace) == 1:
        return f"An epoch of {first['optimizer']} takes {first['mean']:.3g} s."
    said = (
        f"An epoch takes {first['mean']:.3g} s ({first['optimizer']}) to {last['mean']:.3g} s ({last['optimizer']})"
    )
    values = {each["optimizer"]: [-math.log(value) for value in each["finals"]] for each in pace.to_dict("records")}
    pairs = [
        (each.better, each.worse, judge(each.low, each.high, math.log(MARGIN)))
        for each in pairs_of_finals(values, LEVEL)
    ]
    faster: dict[str, list[str]] = {}
    for better, worse, verdict in pairs:
        if verdict in (Verdict.BETTER, Verdict.SLIGHTLY_BETTER):
            faster.setdefault(better, []).append(worse)
    if faster:
        shown = "; ".join(f"{name} than {', '.join(others)}" for name, others in faster.items())
        return f"{said}. Shown to be faster: {shown}."
    if all(verdict is Verdict.SAME for _, _, verdict in pairs):
        return f"{said}: all are equally fast, within {MARGIN - 1:.0%}."
    return f"{said}. No optimizer is shown to be faster than another."
