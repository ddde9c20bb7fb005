"""What a sweep found, in sentences that are never stronger than its statistics."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.config import FrozenModel
from reports.statistics import LEAST_SEEDS, Difference, Finals, compare, detectable_difference, tiers

ENOUGH_SEEDS = 5
# the second is a special case of the first, so tuned well the first can't be worse (Choi et al. 2019)
SANITY = (("momentum", "sgd"), ("nesterov", "sgd"), ("adam", "momentum"), ("adam", "sgd"))


class Sanity(FrozenModel):
    """Whether `general` was not worse than `special`, beyond noise."""

    general: str
    special: str
    held: bool


def answer(definition: Mapping[str, Any], finals: Finals, summary: pd.DataFrame) -> list[str]:
    """Two sentences: the winner or the tie; what is behind it, and each caveat that applies."""
    measured = {name: values for name, values in finals.items() if values}
    if not measured:
        return ["No final has ended yet, so there is no answer."]
    seeds = min(len(values) for values in measured.values())
    behind = "; ".join([_evidence(definition, measured, seeds), *_caveats(definition, summary, seeds)])
    return [_verdict(measured, seeds), behind + "."]


def sanity(finals: Finals) -> list[Sanity]:
    """The checks that these optimizers allow."""
    worse = {(each.worse, each.better) for each in compare(finals) if each.told_apart}
    return [
        Sanity(general=general, special=special, held=(general, special) not in worse)
        for general, special in SANITY
        if finals.get(general) and finals.get(special)
    ]


def _verdict(finals: Finals, seeds: int) -> str:
    means = {name: float(np.mean(list(values.values()))) for name, values in finals.items()}
    best, *others = sorted(means, key=means.__getitem__, reverse=True)
    if not others:
        return f"{best} reaches {means[best]:.2%} mean test accuracy; there is nothing to compare it with."
    if seeds < LEAST_SEEDS:
        return f"Undecided: {seeds} seed{'s are' if seeds > 1 else ' is'} too few to tell optimizers apart."
    groups = tiers(finals)
    top = groups[0]
    if top == (best,):
        runner_up = _pair(compare(finals), best, others[0])
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


def _evidence(definition: Mapping[str, Any], finals: Finals, seeds: int) -> str:
    detectable = detectable_difference(finals)
    seen = f" (a difference under {_points(detectable)} points would often go unseen)" if detectable else ""
    if not definition["budget"]:
        return "It was not tuned, and one seed says nothing of the others"
    return f"Each had {definition['budget']} epochs of tuning and {seeds} fresh seed{'s' if seeds > 1 else ''}{seen}"


def _caveats(definition: Mapping[str, Any], summary: pd.DataFrame, seeds: int) -> list[str]:
    edged = summary.loc[summary["edges"] != "", "optimizer"].tolist()
    diverged = summary["diverged"].sum()
    failed = summary["failed"].sum()
    lost = summary.loc[summary["lost_finals"] > 0, "optimizer"].tolist()
    caveats = [
        (definition["subset"], "trained on a subset of the data, so these accuracies mean nothing"),
        (edged, f"not fully tuned, its best at the edge of what was searched: {_list(edged)}"),
        (LEAST_SEEDS <= seeds < ENOUGH_SEEDS, f"{seeds} seeds see only large differences"),
        (lost, f"finals that did not complete are left out: {_list(lost)}"),
        (diverged, f"{diverged} trial{'s' if diverged > 1 else ''} diverged, at the cost of budget"),
        (failed, f"{failed} trial{'s' if failed > 1 else ''} failed, at the cost of budget"),
    ]
    return [sentence for applies, sentence in caveats if applies]


def _pair(differences: Sequence[Difference], one: str, other: str) -> Difference:
    return next(each for each in differences if {each.better, each.worse} == {one, other})


def _points(fraction: float | None) -> str:
    return "?" if fraction is None else f"{fraction * 100:.2f}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else ""
