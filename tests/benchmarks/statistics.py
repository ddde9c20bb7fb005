"""How often the report's statistics claim too much, hold the truth, and find what is there: by simulation."""

import numpy as np
from scipy import stats

from reports.statistics import paired_differences, summarize
from tests.null_sweeps import NOISES, TRUE_MEAN, sweeps


def main() -> None:
    """false claims, coverage and power over simulated sweeps of five optimizers, by noise and number of seeds"""
    for noise in NOISES:
        for seeds in (3, 5, 10):
            null = list(sweeps(2_000, seeds, noise))
            claims = np.mean([any(pair.told_apart for pair in paired_differences(finals)) for finals in null])
            one = [np.array(list(finals["a"].values())) for finals in null]
            held = np.mean([(s := summarize(values)).low <= TRUE_MEAN <= s.high for values in one])
            percentile = np.mean([_percentile_bootstrap_holds(values) for values in one[:500]])
            powers = [_power(seeds, noise, effect) for effect in (0.001, 0.002, 0.003)]
            print(
                f"{noise:<7} {seeds:>2} seeds: false claims {claims:.1%}, interval holds {held:.1%} (percentile "
                f"bootstrap {percentile:.1%}), finds .1/.2/.3 points {' '.join(f'{power:.0%}' for power in powers)}"
            )


def _power(seeds: int, noise: str, effect: float) -> float:
    """Of the four true differences, how many are found."""
    found = [
        pair.told_apart and pair.better == "a"
        for finals in sweeps(300, seeds, noise, effect)
        for pair in paired_differences(finals)
        if "a" in (pair.better, pair.worse)
    ]
    return float(np.mean(found))


def _percentile_bootstrap_holds(values: np.ndarray) -> bool:
    result = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=1_000, rng=0)
    return result.confidence_interval.low <= TRUE_MEAN <= result.confidence_interval.high
