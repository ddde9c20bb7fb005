"""Write the answer of a sweep: sentences that never claim more than its statistics show."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.config import FrozenModel
from reports.caveats import Caveats, EqualFinals
from reports.columns import in_epochs, margin_points
from reports.statistics import AccuracyBySeed
from reports.verdicts import PairVerdict, Verdicts
from studies.requirements import LEAST_UNITS
from studies.verdicts import Verdict

# the first is a generalisation of the second: tuned as widely, it should not be worse (Choi et al. 2019)
SANITY = (("momentum", "sgd"), ("nesterov", "sgd"), ("adam", "momentum"), ("adam", "sgd"))


class Suspicion(FrozenModel):
    """The finding that optimizer `general` is shown to be worse than `special`, which is a special case of it."""

    general: str
    special: str


def answer(
    subset: bool,
    finals: AccuracyBySeed,
    summary: pd.DataFrame,
    verdicts: Verdicts,
    ended: bool = True,
    against: Caveats = Caveats(),
) -> list[str]:
    """Return at most three sentences: the verdicts, what they are about, and the evidence with each caveat.

    `finals` are test accuracies (fractions) by optimizer and seed; `ended` is whether the sweep or run has ended.
    """
    measured = {name: values for name, values in finals.items() if values}
    unmeasured = [name for name, values in finals.items() if not values]
    caveats = _caveats(subset, summary, verdicts, against)
    if not ended:
        caveats.insert(0, "it has not ended yet")
    if not measured:
        none = f"No final has completed{' yet' if not ended else ''}, so there is no answer."
        return [none, _sentence(caveats)] if caveats else [none]
    if unmeasured:
        caveats.append(f"no final of {_list(unmeasured)} has completed")
    evidence = _evidence(measured, summary, verdicts)
    last = _sentence([evidence, *_doubts(measured, against), *caveats])
    about = [_about(verdicts)] if len(measured) > 1 and verdicts.enough else []
    return [_verdict(measured, bool(unmeasured), verdicts), *about, last]


def suspicions(verdicts: Verdicts) -> list[Suspicion]:
    """Return the optimizers that are shown to be worse than a special case of them, so their tuning is doubtful."""
    worse = {(each.worse, each.better) for each in verdicts.accuracy if each.told_apart}
    return [Suspicion(general=general, special=special) for general, special in SANITY if (general, special) in worse]


def _verdict(finals: AccuracyBySeed, some_unmeasured: bool, verdicts: Verdicts) -> str:
    # beside an interval stands the mean of the finals that it comes from
    used = {name: list(values.values()) for name, values in finals.items()} | {
        name: list(values) for name, values in verdicts.used.items() if values and verdicts.enough
    }
    means = {name: float(np.mean(values)) for name, values in used.items()}
    best, *others = sorted(means, key=means.__getitem__, reverse=True)
    if not others:
        other = "no other optimizer has a completed final" if some_unmeasured else "there is no other optimizer"
        return f"{best} reaches {means[best]:.2%} mean test accuracy; {other} to compare it with."
    if not verdicts.enough:
        return _too_few(verdicts)
    above = [each for each in verdicts.accuracy if each.better == best and each.told_apart]
    if len(above) == len(others):
        least = min(above, key=lambda each: each.low or 0.0)
        of, every = (" of those with a final", "one of them") if some_unmeasured else ("", "optimizer")
        return (
            f"{best} is the best{of}, at {means[best]:.2%} mean test accuracy: better than {least.worse} by "
            f"{_points(least.low)} to {_points(least.high)} points{_less_than_margin(least, verdicts)}"
            f"{f', and better than every other {every} by more' if len(others) > 1 else ''}."
        )
    return f"{'; '.join([*_better(verdicts), *_same(verdicts), *_undecided(verdicts)])}."


def _better(verdicts: Verdicts) -> list[str]:
    """Say which optimizers are better than which, and by how much at least; group those with the same losers.

    Those that are better by less than the margin are told apart from the others.
    """
    worse: dict[tuple[Verdict, str], list[PairVerdict]] = {}
    for verdict in (Verdict.BETTER, Verdict.SLIGHTLY_BETTER):
        for each in verdicts.accuracy:
            if each.verdict is verdict:
                worse.setdefault((verdict, each.better), []).append(each)
    alike: dict[tuple[Verdict, frozenset[str]], list[str]] = {}
    for (verdict, name), pairs in worse.items():
        alike.setdefault((verdict, frozenset(each.worse for each in pairs)), []).append(name)
    found = []
    for (verdict, _), names in alike.items():
        pairs = [each for name in names for each in worse[verdict, name]]
        others = list(dict.fromkeys(each.worse for each in pairs))
        least = min(pairs, key=lambda each: each.low or 0.0)
        verb = "is" if len(names) == 1 else "are"
        by = f"by {_points(least.low)} or more{_less_than_margin(least, verdicts)}"
        found.append(f"{_list(names)} {verb} better than {_list(others)}, {by}")
    return found or ["No optimizer is shown to be better than another"]


def _less_than_margin(pair: PairVerdict, verdicts: Verdicts) -> str:
    """Return the clause that a difference does not matter, or nothing if it may."""
    is_small = pair.verdict is Verdict.SLIGHTLY_BETTER
    return f", which is less than the margin of {margin_points(verdicts.margin)}" if is_small else ""


def _same(verdicts: Verdicts) -> list[str]:
    pairs = [(each.better, each.worse) for each in verdicts.accuracy if each.verdict is Verdict.SAME]
    if not pairs:
        return []
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    within = f"the same within {margin_points(verdicts.margin)} points"
    if len(pairs) == len(names) * (len(names) - 1) / 2:
        return [f"{_list(names)} are {within}"]
    return [f"{_list([f'{one} and {other}' for one, other in pairs], ', and')} are {within}"]


def _undecided(verdicts: Verdicts) -> list[str]:
    pairs = [each for each in verdicts.accuracy if each.verdict is Verdict.UNDECIDED]
    if not pairs:
        return []
    count = f"{len(pairs)} of {len(verdicts.accuracy)} pairs are" if len(pairs) > 1 else "one pair is"
    if len(pairs) == len(verdicts.accuracy):
        count = "all pairs are" if len(pairs) > 1 else "the pair is"
    return [f"{count} undecided"]


def _too_few(verdicts: Verdicts) -> str:
    if verdicts.of_optimizers:
        have = f"{verdicts.complete} of {verdicts.declared} replicates are complete"
        first = verdicts.looks[0]
        if first > LEAST_UNITS:
            return f"Undecided: {have}, and the first verdicts are taken after {first}."
        return f"Undecided: {have}, and at least {LEAST_UNITS} are needed to compare optimizers."
    seeds = verdicts.looks[0]
    if seeds >= LEAST_UNITS:
        return f"Undecided: the verdicts need {seeds} finals of every optimizer, and some have fewer."
    return f"Undecided: {seeds} seed{' is' if seeds == 1 else 's are'} too few to compare optimizers."


def _about(verdicts: Verdicts) -> str:
    return f"The verdicts are about {verdicts.population}; {verdicts.assurance}."


def _evidence(finals: AccuracyBySeed, summary: pd.DataFrame, verdicts: Verdicts) -> str:
    spent = summary.loc[summary["optimizer"].isin(list(finals)), "epochs_spent"]
    if not spent.sum():
        return "it was not tuned, and one seed says nothing about other seeds"
    counts = sorted(len(values) for values in finals.values())
    tuning = f"{_range(in_epochs(spent.min()), in_epochs(spent.max()))} epoch{'' if spent.max() == 1 else 's'}"
    fresh = "1 final on a fresh seed"
    if counts[-1] > 1:
        fresh = f"{_range(str(counts[0]), str(counts[-1]))} finals on fresh seeds"
    judged = sorted(len(verdicts.used.get(name, ())) for name in finals)
    if verdicts.enough and judged != counts:
        fresh += f", of which the verdicts use {_range(str(judged[0]), str(judged[-1]))}"
    searches = ""
    if verdicts.of_optimizers:
        used, whole, declared = verdicts.replicates, verdicts.complete, verdicts.declared
        of_first = f", the verdicts use the first {used}" if 0 < used < whole else ""
        complete = f" ({whole} of {declared} replicates complete{of_first})"
        searches = f" in {declared} replicates" if used == declared else complete
    found = verdicts.detectable
    seen = f" (a difference of {_points(found)} points would be found in 80% of such sweeps)" if found else ""
    return f"each had {tuning} of tuning{searches} and {fresh}{seen}"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _sentence(clauses: Sequence[str]) -> str:
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _doubts(finals: AccuracyBySeed, against: Caveats) -> list[str]:
    """Return reasons why the best mean, or the spread over seeds, may mean nothing."""
    means = {name: float(np.mean(list(values.values()))) for name, values in finals.items()}
    best = max(means, key=means.__getitem__)
    doubts = [_equal(each) for each in against.equal if set(each.optimizers) <= finals.keys()]
    majority = against.majority
    if majority is not None and means[best] <= majority.share:
        always = f"always predicting class {majority.name}, the most frequent, gives {majority.share:.2%}"
        doubts.insert(0, f"{always}, and {best} is not better than that")
    return doubts


def _equal(each: EqualFinals) -> str:
    text = f"the finals of {_list(each.optimizers)} are equal to the last digit on all {each.seeds} seeds"
    if len(each.optimizers) == 1:
        return f"{text}, so the seed may have no effect"
    return f"{text}, seed by seed, so the settings that differ between them may have no effect"


def _caveats(subset: bool, summary: pd.DataFrame, verdicts: Verdicts, against: Caveats) -> list[str]:
    edged = summary.loc[summary["edges"] != "", "optimizer"].tolist()
    diverged = summary["diverged"].sum()
    failed = summary["failed"].sum()
    names, without = summary["optimizer"], list(verdicts.without_winner)
    lost = names[(summary["lost_finals"] > 0) | names.isin(set(verdicts.lost) - set(without))].tolist()
    caveats = [
        (subset, "trained on a subset of the data, so these accuracies mean nothing"),
        (edged, f"not fully tuned, since the best value is at the edge of its range: {_list(edged)}"),
        (
            lost,
            f"nothing is claimed about {_list(lost)}, since finals did not complete{_because(against.final_cause)}",
        ),
        (without, f"nothing is claimed about {_list(without)}, since a search found no winner"),
        (diverged, f"{diverged} trial{'s' if diverged > 1 else ''} diverged and used up budget"),
        (
            failed,
            f"{failed} trial{'s' if failed > 1 else ''} failed and used up budget" + _because(against.trial_cause),
        ),
    ]
    return [sentence for applies, sentence in caveats if applies]


def _because(cause: str) -> str:
    return f" ({cause.rstrip('.')})" if cause else ""


def _points(fraction: float | None) -> str:
    """Return percentage points with two decimals, or one digit of a difference that these would make 0."""
    text = "?" if fraction is None else f"{fraction * 100:.2f}"
    return f"{100 * fraction:.1g}" if fraction and text == "0.00" else text


def _list(names: Sequence[str], last: str = " and") -> str:
    return ", ".join(names[:-1]) + (f"{last} " if len(names) > 1 else "") + names[-1] if names else ""
