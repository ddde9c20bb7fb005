"""Make tidy tables of the pairs of a sweep's optimizers: their differences and their verdicts."""

import pandas as pd

from reports.statistics import probability_above
from reports.verdicts import PairVerdict, Verdicts


def differences_frame(verdicts: Verdicts) -> pd.DataFrame:
    """Return one row per pair of optimizers with finals, `better` minus `worse` in mean test accuracy.

    All values are of the finals that the verdicts use.

    Columns: better, worse, seeds (the fewer finals of the two), mean, low, high (fractions; simultaneous intervals of
    all pairs), p, probability (that a final of `better` is above one of `worse`), told_apart, verdict, more (finals
    or replicates that would decide the pair; None if it is decided or its spread is unknown), search_luck (for a
    better winner: the largest s.d. of a search's luck, a fraction, at which the optimizer is better too).
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
            "seeds": min(len(verdicts.used[name]) for name in (each.better, each.worse)),
            "mean": each.difference,
            "low": each.low,
            "high": each.high,
            "p": each.p,
            "probability": probability_above(verdicts.used[each.better], verdicts.used[each.worse]),
            "told_apart": each.told_apart,
            "verdict": each.verdict,
            "more": each.more,
            "search_luck": each.search_luck,
        }
        for each in verdicts.accuracy
    ]
    return pd.DataFrame(rows, columns=columns)


def verdicts_frame(verdicts: Verdicts) -> pd.DataFrame:
    """Return one row per outcome and pair of optimizers, with the fields of `reports.verdicts.PairVerdict`."""
    return pd.DataFrame([each.model_dump() for each in verdicts.pairs], columns=list(PairVerdict.model_fields))
