"""What a sweep found, in sentences that are never stronger than its statistics."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.config import FrozenModel
from reports.caveats import Caveats, EqualFinals
from reports.columns import in_epochs
from reports.statistics import (
    LEAST_SEEDS,
    AccuracyBySeed,
    PairDifference,
    detectable_difference,
    paired_differences,
    tiers,
)

ENOUGH_SEEDS = 5
# the first generalises the second, so where it is tuned as widely it should not be worse (Choi et al. 2019)
SANITY = (("momentum", "sgd"), ("nesterov", "sgd"), ("adam", "momentum"), ("adam", "sgd"))


class Sanity(FrozenModel):
    """Whether `general` was not worse than `special`, beyond noise."""

    general: str
    special: str
    held: bool


def answer(
    subset: bool,
    finals: AccuracyBySeed,
    summary: pd.DataFrame,
    ended: bool = True,
    against: Caveats = Caveats(),
) -> list[str]:
    """Two sentences: the winner or the tie; what is behind it, and each caveat that applies."""
    measured = {name: values for name, values in finals.items() if values}
    unmeasured = [name for name, values in finals.items() if not values]
    seeds = sorted(len(values) for values in measured.values()) or [0]
    caveats = _caveats(subset, summary, seeds[0], against)
    if not ended:
        caveats.insert(0, "it has not ended")
    if not measured:
        none = f"No final has completed{' yet' if not ended else ''}, so there is no answer."
        return [none, _sentence(caveats)] if caveats else [none]
    if unmeasured:
        caveats.append(f"no final has completed of {_list(unmeasured)}")
    evidence = _evidence(measured, summary, seeds)
    return [_verdict(measured, seeds[0]), _sentence([evidence, *_doubts(measured, against), *caveats])]


def sanity(finals: AccuracyBySeed) -> list[Sanity]:
    """The checks that these optimizers allow."""
    worse = {(each.worse, each.better) for each in paired_differences(finals) if each.told_apart}
    return [
        Sanity(general=general, special=special, held=(general, special) not in worse)
        for general, special in SANITY
        if min(len(finals.get(general, ())), len(finals.get(special, ()))) >= LEAST_SEEDS
    ]


def _verdict(finals: AccuracyBySeed, seeds: int) -> str:
    means = {name: float(np.mean(list(values.values()))) for name, values in finals.items()}
    best, *others = sorted(means, key=means.__getitem__, reverse=True)
    if not others:
        return f"{best} reaches {means[best]:.2%} mean test accuracy; there is nothing to compare it with."
    if seeds < LEAST_SEEDS:
        return f"Undecided: {seeds} seed{'s are' if seeds > 1 else ' is'} too few to tell optimizers apart."
    groups = tiers(finals)
    top = groups[0]
    if top == (best,):
        runner_up = _pair(paired_differences(finals), best, others[0])
        return (
            f"{best} is the best, at {means[best]:.2%} mean test accuracy: {_points(runner_up.mean)} points above "
            f"{others[0]} (95% interval {_points(runner_up.low)} to {_points(runner_up.high)})."
        )
    if len(groups) == 1:
        return (
            f"Tied: {_list(top)} can't be told apart at {seeds} seeds; their means lie between "
            f"{means[others[-1]]:.2%} and {means[best]:.2%}."
        )
    return (
        f"Tied at the top: {_list(top)} can't be told apart at {seeds} seeds; their means lie between "
        f"{min(means[name] for name in top):.2%} and {means[best]:.2%}."
    )


def _evidence(finals: AccuracyBySeed, summary: pd.DataFrame, seeds: Sequence[int]) -> str:
    spent = summary.loc[summary["optimizer"].isin(list(finals)), "epochs_spent"]
    if not spent.sum():
        return "it was not tuned, and one seed says nothing of the others"
    detectable = detectable_difference(finals)
    seen = f" (a difference under {_points(detectable)} points would often go unseen)" if detectable else ""
    tuning = _range(in_epochs(spent.min()), in_epochs(spent.max()))
    fresh = f"{_range(str(seeds[0]), str(seeds[-1]))} fresh seed{'s' if seeds[-1] > 1 else ''}"
    return f"each had {tuning} epochs of tuning and {fresh}{seen}"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _sentence(clauses: Sequence[str]) -> str:
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _doubts(finals: AccuracyBySeed, against: Caveats) -> list[str]:
    """What makes the best mean, or the seeds, mean nothing."""
    means = {name: float(np.mean(list(values.values()))) for name, values in finals.items()}
    best = max(means, key=means.__getitem__)
    doubts = [_equal(each) for each in against.equal if set(each.optimizers) <= finals.keys()]
    majority = against.majority
    if majority is not None and means[best] <= majority.share:
        always = f"always saying class {majority.name}, the most frequent, gives {majority.share:.2%}"
        doubts.insert(0, f"{always}, and {best} is no better")
    return doubts


def _equal(each: EqualFinals) -> str:
    text = f"the finals of {_list(each.optimizers)} are equal to the last digit on all {each.seeds} seeds"
    if len(each.optimizers) == 1:
        return f"{text}, so its seed may not act"
    return f"{text}, seed by seed, so what sets them apart may not act"


def _caveats(subset: bool, summary: pd.DataFrame, seeds: int, against: Caveats) -> list[str]:
    edged = summary.loc[summary["edges"] != "", "optimizer"].tolist()
    diverged = summary["diverged"].sum()
    failed = summary["failed"].sum()
    lost = summary.loc[summary["lost_finals"] > 0, "optimizer"].tolist()
    caveats = [
        (subset, "trained on a subset of the data, so these accuracies mean nothing"),
        (edged, f"not fully tuned, its best at the edge of what was searched: {_list(edged)}"),
        (LEAST_SEEDS <= seeds < ENOUGH_SEEDS, f"{seeds} seeds see only large differences"),
        (lost, f"finals that did not complete are left out: {_list(lost)}{_because(against.final_cause)}"),
        (diverged, f"{diverged} trial{'s' if diverged > 1 else ''} diverged, at the cost of budget"),
        (
            failed,
            f"{failed} trial{'s' if failed > 1 else ''} failed, at the cost of budget"
            + _because(against.trial_cause),
        ),
    ]
    return [sentence for applies, sentence in caveats if applies]


def _because(cause: str) -> str:
    return f" ({cause.rstrip('.')})" if cause else ""


def _pair(differences: Sequence[PairDifference], one: str, other: str) -> PairDifference:
    return next(each for each in differences if {each.better, each.worse} == {one, other})


def _points(fraction: float | None) -> str:
    return "?" if fraction is None else f"{fraction * 100:.2f}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else ""
