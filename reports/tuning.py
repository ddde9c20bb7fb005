"""Measure what tuning gained over the published start."""

from statistics import mean

import numpy as np
import pandas as pd
from scipy import stats

from harness.config import FrozenModel
from harness.records import Outcome, Stage
from reports.winners import ENDED, Winners
from studies.definition import LEVEL, SweepDefinition
from studies.requirements import LEAST_UNITS, NO_SPREAD
from studies.verdicts import Verdict, judge


class TuningGain(FrozenModel):
    """The winner of an optimizer minus its published start, in mean test accuracy on the same seeds (fractions).

    The start itself won `starts_won` of the `searches`; there the difference is 0. The intervals `low` to `high` of
    all optimizers are simultaneous; both are None with fewer than three finals or replicates, or if the differences
    do not vary. `lost` counts the finals of the winner or the start that diverged or failed, `without_winner` the
    searches in which no trial completed; with any of them nothing is claimed.
    """

    optimizer: str
    searches: int
    starts_won: int
    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    lost: int = 0
    without_winner: int = 0

    @property
    def in_words(self) -> str:
        """Return the gain as a clause, in percentage points."""
        if self.starts_won == self.searches:
            return "the search found nothing better than the published start"
        if self.without_winner:
            of_all = f"{self.without_winner} of {self.searches} searches"
            return f"not judged against the published start, since {of_all} found no winner"
        if self.lost:
            finals = "a final" if self.lost == 1 else f"{self.lost} finals"
            return f"not judged against the published start, since {finals} did not complete"
        if self.difference is None:
            return "the published start was not measured"
        if self.verdict in (Verdict.BETTER, Verdict.SLIGHTLY_BETTER):
            than = f"{'better' if self.difference > 0 else 'worse'} than the published start"
            return (
                f"{than} by {self._range}"
                if self.verdict is Verdict.BETTER
                else f"{than}, but by less than the margin"
            )
        if self.verdict is Verdict.SAME:
            return "the same as the published start, within the margin"
        return "undecided against the published start" + (
            f", difference {self._range}" if self.low is not None else ""
        )

    @property
    def _range(self) -> str:
        low, high = sorted((abs(self.low or 0.0), abs(self.high or 0.0)))
        if self.verdict is Verdict.UNDECIDED:
            low, high = self.low or 0.0, self.high or 0.0
        return f"{100 * low:.2f} to {100 * high:.2f} points"


def tuning_gains(
    runs: pd.DataFrame, definition: SweepDefinition, winners: Winners, margin: float
) -> list[TuningGain]:
    """Compare each winner with the published start of its search, by Student's t on paired differences.

    A pair is a seed of the finals, or a replicate if there are several. Bonferroni's correction makes the intervals
    of all optimizers simultaneous. An optimizer without any winner is left out. One without a winner in a replicate
    whose finals have begun, or with a lost final, of a winner or of the start beside it, has no interval.
    """
    level = 1 - (1 - LEVEL) / max(1, len(winners))
    begun = set(runs.loc[(runs["stage"] == Stage.FINAL) & runs["outcome"].isin(ENDED), "replicate"])
    gains = []
    for name, of_searches in winners.items():
        mine = runs[runs["optimizer"] == name]
        units: list[float] = []
        lost = 0
        for winner in of_searches:
            of_replicate = mine[mine["replicate"] == winner.replicate]
            finals = _accuracies(of_replicate, Stage.FINAL)
            starts = finals if winner.is_start else _accuracies(of_replicate, Stage.START)
            lost += int(finals.isna().sum()) + (0 if winner.is_start else int(starts.isna().sum()))
            differences = (finals - starts).dropna().tolist()
            units += [mean(differences)] if differences and definition.replicates > 1 else differences
        without_winner = len(begun - {each.replicate for each in of_searches})
        low, high = (None, None) if lost or without_winner else _interval(units, level)
        gains.append(
            TuningGain(
                optimizer=name,
                searches=len(of_searches) + without_winner,
                starts_won=sum(each.is_start for each in of_searches),
                difference=mean(units) if units else None,
                low=low,
                high=high,
                verdict=judge(low, high, margin),
                lost=lost,
                without_winner=without_winner,
            )
        )
    return gains


def _accuracies(runs: pd.DataFrame, stage: Stage) -> "pd.Series[float]":
    """Return the test accuracy of each ended final or start in `runs` by seed; nan for one that was lost."""
    ended = runs[(runs["stage"] == stage) & runs["outcome"].isin(ENDED)].set_index("seed")
    return ended["test_accuracy"].astype(float).where(ended["outcome"] == Outcome.COMPLETED)


def _interval(values: list[float], level: float) -> tuple[float | None, float | None]:
    if len(values) < LEAST_UNITS or np.ptp(values) < NO_SPREAD:
        return None, None
    low, high = stats.t.interval(level, len(values) - 1, float(np.mean(values)), float(stats.sem(values)))
    return float(low), float(high)
