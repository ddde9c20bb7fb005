"""Judge each pair of optimizers from their finals, as pure functions: verdicts, margins, more finals."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import optimize, stats

from studies.definition import LEVEL, SweepDefinition
from studies.intervals import Array, Intervals, block_level, blocked, critical_values, games_howell
from studies.requirements import LEAST_UNITS

NOISY_SHARE = 0.25  # of the variance of a pair's difference: an optimizer that causes as much trains more finals

Samples = Mapping[str, Sequence[float]]  # by optimizer, one value for each final
Units = Mapping[str, Mapping[int, float]]  # by optimizer and replicate, the mean of the replicate's finals


class Verdict(StrEnum):
    """The conclusion from the interval of a difference and a margin."""

    BETTER = "better"
    SAME = "same"
    SLIGHTLY_BETTER = "better, but by less than the margin"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Pair:
    """The difference of two means, `better` minus `worse`, and its interval, which is simultaneous over all pairs.

    Values are in the unit of the samples. `low` and `high` are None with fewer than `LEAST_UNITS` samples, or if the
    samples do not vary. The half-width of the interval is `critical` times the standard error, which has `degrees`
    degrees of freedom. `groups` is the number of optimizers compared, `units` the larger number of samples of both.
    """

    better: str
    worse: str
    difference: float
    low: float | None = None
    high: float | None = None
    degrees: float = 0.0
    critical: float = 0.0
    groups: int = 2
    units: int = 0

    @property
    def error(self) -> float | None:
        """Return the standard error of the difference; None without an interval."""
        return None if self.low is None else (self.difference - self.low) / self.critical

    @property
    def p(self) -> float:
        """Return the p value of the difference by Tukey's range test; 1 without an interval."""
        if not self.error:
            return 1.0
        spread = math.sqrt(2) * abs(self.difference) / self.error
        return _tail(spread, self.groups, self.degrees)


@functools.lru_cache(maxsize=4096)
def _tail(spread: float, groups: int, degrees: float) -> float:
    """Return the chance of a studentized range above `spread`: an integral that takes a hundredth of a second."""
    return float(stats.studentized_range.sf(spread, groups, degrees))


def judge(low: float | None, high: float | None, margin: float) -> Verdict:
    """Return the verdict of an interval: the difference is above 0, within the margin, both, or undecided.

    One set of intervals answers both questions, so both kinds of error are controlled together (Jennison and
    Turnbull 1993). `low` and `high` may be None, which is undecided.
    """
    if low is None or high is None:
        return Verdict.UNDECIDED
    is_better, is_small = low > 0 or high < 0, -margin <= low and high <= margin
    if is_better:
        return Verdict.SLIGHTLY_BETTER if is_small else Verdict.BETTER
    return Verdict.SAME if is_small else Verdict.UNDECIDED


def pairs_of_finals(samples: Samples, level: float = LEVEL, least_variance: float = 0.0) -> list[Pair]:
    """Return every pair of optimizers with finals, for claims about these winners on new seeds.

    The intervals are those of Games and Howell. A variance below `least_variance` counts as `least_variance`, since
    an accuracy is measured in steps of one image and varies within a step.
    """
    names = [name for name, values in samples.items() if len(values)]
    if len(names) < 2:
        return []
    counts = np.array([float(len(samples[name])) for name in names])
    means = np.array([np.mean(samples[name]) for name in names])
    variances = np.array([np.var(samples[name], ddof=1) if len(samples[name]) > 1 else 0.0 for name in names])
    intervals = games_howell(means, np.maximum(variances, least_variance), counts, level)
    return _pairs(names, intervals, counts, level)


def pairs_of_replicates(units: Units, level: float = LEVEL, least_variance: float = 0.0) -> list[Pair]:
    """Return every pair of optimizers, for claims about this way of tuning on new searches and seeds.

    The replicates are blocks. Only replicates in which every optimizer has a value count.
    """
    names = [name for name, values in units.items() if values]
    shared = sorted(set.intersection(*(set(units[name]) for name in names))) if names else []
    if len(names) < 2 or not shared:
        return []
    values = np.array([[units[name][replicate] for replicate in shared] for name in names])
    counts = np.full(len(names), float(len(shared)))
    return _pairs(names, blocked(values, level, least_variance), counts, block_level(level))


def _pairs(names: Sequence[str], of: Intervals, counts: Array, level: float) -> list[Pair]:
    found = []
    for one, other in itertools.combinations(range(len(names)), 2):
        first, second = (one, other) if of.differences[one, other] >= 0 else (other, one)
        better, worse, difference = names[first], names[second], float(of.differences[first, second])
        width, degrees = float(of.widths[first, second]), float(of.degrees[first, second])
        if min(counts[one], counts[other]) >= LEAST_UNITS and math.isfinite(width):
            critical = float(critical_values(len(names), np.array([degrees]), level)[0])
            low, high = difference - width, difference + width
            units = int(max(counts[one], counts[other]))
            found.append(Pair(better, worse, difference, low, high, degrees, critical, len(names), units))
        else:
            found.append(Pair(better, worse, difference))
    return found


def in_need_of_finals(samples: Samples, margin: float, level: float) -> list[str]:
    """Return the optimizers that need more finals, given the finals so far: members of undecided pairs.

    Of an undecided pair only those are returned that cause a quarter or more of the variance of the difference: more
    finals of the other would hardly shorten the interval.
    """
    errors = {
        name: float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else math.inf
        for name, values in samples.items()
    }
    needed = set()
    for pair in pairs_of_finals(samples, level):
        if judge(pair.low, pair.high, margin) is not Verdict.UNDECIDED:
            continue
        whole = errors[pair.better] + errors[pair.worse]
        for name in (pair.better, pair.worse):
            if not 0 < whole < math.inf or errors[name] >= NOISY_SHARE * whole:
                needed.add(name)
    return [name for name in samples if name in needed]


def seeds_at_last_look(
    finals: Mapping[str, Mapping[int, float | None]],
    seeds: Sequence[int],
    looks: Sequence[int],
    margin: float,
    level_at: Callable[[int], float],
) -> tuple[int, dict[str, tuple[int, ...]]]:
    """Return the last look whose finals have all ended (0 if none has), and by optimizer the seeds that it uses.

    `finals` are the accuracies of the finals that have ended, by optimizer and seed; None for a final that was lost,
    whose seed is not used. Accuracy decides which optimizers train on, so verdicts on other outcomes use these seeds.
    `level_at` returns the confidence at a look. A pair trains on unless it is decided at the confidence of the next
    look, at which its finals are judged again.
    """
    reached, needed = 0, list(finals)
    seen: dict[str, tuple[int, ...]] = dict.fromkeys(finals, ())
    for look, following in itertools.zip_longest(looks, looks[1:], fillvalue=looks[-1]):
        if not needed or any(seed not in finals[name] for name in needed for seed in seeds[:look]):
            break
        reached = look
        for name in needed:
            seen[name] = tuple(seed for seed in seeds[:look] if finals[name][seed] is not None)
        whole = {
            name: [value for seed in of if (value := finals[name][seed]) is not None]
            for name, of in seen.items()
            if all(finals[name].get(seed, 0.0) is not None for seed in seeds[:look])
        }
        needed = in_need_of_finals(whole, margin, level_at(following))
    return reached, seen


def units_until_decided(pair: Pair, margin: float) -> int | None:
    """Return how many finals or replicates would decide a pair if its difference and spread stay as they are.

    The width of the interval falls with the square root of their number. None if the spread is unknown.
    """
    if pair.low is None:
        return None
    width = pair.difference - pair.low
    target = max(abs(pair.difference), margin - abs(pair.difference))
    return max(pair.units + 1, math.ceil(pair.units * (width / target) ** 2)) if target > 0 else None


def margin_of(error: float) -> float:
    """Return an eighth of an error or a loss, rounded to one digit: a difference that hardly matters."""
    return float(f"{error / 8:.0e}")


def margin_in(definition: SweepDefinition, winners: Sequence[float]) -> float:
    """Return a sweep's margin as a fraction; if none is declared, from the best winner's validation accuracy.

    A winner without a mistake counts as one with a single mistake: its true error is not known to be smaller, and
    within a margin of 0 no pair could ever be the same.
    """
    if definition.margin is not None:
        return definition.margin / 100
    if not winners:
        return 0.0
    return margin_of(max(1 - max(winners), 1 / definition.base.dataset.validation_size))


def survives_search_luck(pair: Pair) -> float:
    """Return the largest s.d. of search luck at which a difference of winners is also a difference of optimizers.

    It is `sqrt(max(0, (D / c)^2 - se^2) / 2)`: D the difference, c the critical value of its interval, se its
    standard error. 0 without an interval.
    """
    if pair.error is None:
        return 0.0
    return math.sqrt(max(0.0, (pair.difference / pair.critical) ** 2 - pair.error**2) / 2)


def detectable_difference(pair: Pair, power: float = 0.8) -> float | None:
    """Return the true difference that the pair's interval would separate from 0 in a share `power` of sweeps.

    It follows from the noncentral t distribution (Cohen 1988). None without an interval.
    """
    if pair.error is None:
        return None

    def lacking(shift: float) -> float:
        return float(stats.nct.sf(pair.critical, pair.degrees, shift)) - power

    return pair.error * float(optimize.brentq(lacking, 0.0, 4 * pair.critical))


def largest_share(spoilt: int, count: int, level: float = LEVEL) -> float:
    """Return the upper bound of the share of spoilt finals, given `spoilt` of `count` (Clopper and Pearson 1934)."""
    return 1.0 if spoilt >= count else float(stats.beta.ppf(level, spoilt + 1, count - spoilt))
