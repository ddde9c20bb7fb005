"""Translate a searched dimension into Optuna's distribution."""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from studies.space import Choice, Range


def distribution_of(dimension: Range | Choice) -> BaseDistribution:
    """Return the distribution that Optuna draws the dimension's values from."""
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.choices)
    if dimension.integer:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
