"""Tidy tables of the pairs of a sweep's optimizers: what differs between two, and what is claimed of it."""

from collections.abc import Mapping

import pandas as pd

from reports.statistics import probability_above
from reports.verdicts import PairVerdict, Verdicts


def differences_frame(finals: Mapping[str, Mapping[int, float]], verdicts: Verdicts) -> pd.DataFrame:
    """One row per pair of optimizers with a final, `better` less `worse` in mean test accuracy.

    Columns: better, worse, seeds (the fewest finals of the two), mean, low, high (fractions; the intervals of all
    pairs hold together), p, probability (of a final of `better` being above one of `worse`), told_apart, verdict,
    more (finals or replicates that would decide it, None where it is decided or nothing is known), search_luck (of a
    better winner, the s.d. of a search's luck up to which the optimizer is better too; a fraction).
    """
    columns = [
        "better",
        "worse",
        "seeds",
        "mean",
        "low",
        "high",
        "p",
        "probability",
        "told_apart",
        "verdict",
        "more",
        "search_luck",
    ]
    rows = [
        {
            "better": each.better,
            "worse": each.worse,
            "seeds": min(len(finals[name]) for name in (each.better, each.worse)),
            "mean": each.difference,
            "low": each.low,
            "high": each.high,
            "p": each.p,
            "probability": probability_above(*(list(finals[name].values()) for name in (each.better, each.worse))),
            "told_apart": each.told_apart,
            "verdict": each.verdict,
            "more": each.more,
            "search_luck": each.search_luck,
        }
        for each in verdicts.accuracy
    ]
    return pd.DataFrame(rows, columns=columns)


def verdicts_frame(verdicts: Verdicts) -> pd.DataFrame:
    """One row per outcome and pair of optimizers: the fields of `reports.verdicts.PairVerdict`."""
    return pd.DataFrame([each.model_dump() for each in verdicts.pairs], columns=list(PairVerdict.model_fields))
