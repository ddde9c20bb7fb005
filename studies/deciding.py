"""Decide which optimizers train more finals, and whether the sweep needs one more replicate."""

from collections.abc import Sequence
from statistics import mean

from harness.records import METRIC_NAMES, Outcome, Tag
from studies.open_sweep import Replicate, Sweep
from studies.verdicts import Verdict, in_need_of_finals, judge, margin_in, pairs_of_replicates

TEST = METRIC_NAMES["test_accuracy"]


def in_need(replicate: Replicate, seeds: Sequence[int]) -> list[str]:
    """Return the optimizers that must train more finals than those on `seeds`, which have ended.

    An optimizer that lost a final can't be judged better or the same, so it trains no more finals.
    """
    winners = [found[1] for name in replicate.searches if (found := replicate.winner(name))]
    samples = {}
    for name in replicate.searches:
        finals = [each for each in replicate.winners_finals(name) if int(each.tags[Tag.NUMBER]) in seeds]
        if finals and all(each.tags.get(Tag.OUTCOME) == Outcome.COMPLETED for each in finals):
            samples[name] = [each.metrics[TEST] for each in finals]
    definition = replicate.definition
    following = next((look for look in definition.looks_at if look > len(seeds)), len(seeds))
    return in_need_of_finals(samples, margin_in(definition, winners), definition.level_at(following))


def is_decided(sweep: Sweep, replicates: int) -> bool:
    """Return whether the verdicts after this many replicates leave no pair undecided; False if a final was lost."""
    definition = sweep.definition
    if definition.replicates == 1 or replicates not in definition.looks_at:
        return False
    done = sweep.replicates[:replicates]
    winners = {
        name: [found[1] for each in done if (found := each.winner(name)) is not None]
        for name in definition.optimizers
    }
    units = {}
    for name in definition.optimizers:
        finals = {each.number: each.completed_finals(name) for each in done}
        if any(len(of) < len(definition.final_seeds) for of in finals.values()):
            return False
        units[name] = {number: mean(final.metrics[TEST] for final in of) for number, of in finals.items()}
    within = margin_in(definition, [mean(each) for each in winners.values() if each])
    pairs = pairs_of_replicates(units, definition.level_at(replicates))
    return all(judge(pair.low, pair.high, within) is not Verdict.UNDECIDED for pair in pairs)
