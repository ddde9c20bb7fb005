"""Compute simultaneous intervals of the differences of all pairs of means, as pure functions over arrays."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, optimize, stats

from studies.definition import LEVEL
from studies.requirements import NO_SPREAD

BLOCKED_RISK = 0.8  # the part of the allowed risk of a false claim that intervals with blocks use
# degrees of freedom between which critical values are interpolated; above the last one they hardly change
KNOTS = (1, 1.4, 2, 2.8, 4, 6.5, 12, 30, 2000)

Array = NDArray[np.float64]


def critical_values(groups: int, degrees: Array, level: float = LEVEL) -> Array:
    """Return the quantile of the studentized range divided by the square root of 2, for each value of `degrees`.

    The standard error of a difference times this value is the half-width of the simultaneous intervals of `groups`
    means (Tukey 1953). An array of degrees of freedom is interpolated, to 0.1%, since each exact value takes a tenth
    of a second. The result has the shape of `degrees`.
    """
    if np.ndim(degrees) == 0:
        return np.array(_critical_value(groups, float(degrees), level))
    curve = _curve(groups, level)
    values: Array = np.exp(curve(1 / np.clip(degrees, KNOTS[0], KNOTS[-1])))
    return values


@functools.lru_cache
def _curve(groups: int, level: float) -> Any:  # noqa: ANN401
    inverse = [1 / each for each in reversed(KNOTS)]
    values = [math.log(_critical_value(groups, each, level)) for each in reversed(KNOTS)]
    return interpolate.PchipInterpolator(inverse, values)


@functools.lru_cache
def _critical_value(groups: int, degrees: float, level: float) -> float:
    """Find the quantile between that of a single pair and Bonferroni's of all pairs, which takes a few steps only."""
    tail = 1 - level
    lowest = float(stats.t.isf(tail / 2, degrees))
    if groups == 2:
        return lowest
    highest = float(stats.t.isf(tail / (groups * (groups - 1)), degrees))

    def too_likely(value: float) -> float:
        return float(stats.studentized_range.sf(value * math.sqrt(2), groups, degrees)) - tail

    return float(optimize.brentq(too_likely, lowest, highest, xtol=1e-4))


class Intervals(NamedTuple):
    """The differences of all pairs of groups, half-widths and degrees of freedom: arrays of (..., groups, groups).

    A half-width is infinite for a pair whose spread is unknown.
    """

    differences: Array
    widths: Array
    degrees: Array


def games_howell(means: Array, variances: Array, counts: Array, level: float = LEVEL) -> Intervals:
    """Return the intervals of Games and Howell (1976) for the differences of all pairs of means.

    The samples may have different variances and different counts. All arrays have shape (..., groups).
    """
    groups = means.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = variances / counts
        squared = errors[..., :, None] + errors[..., None, :]
        parts = errors**2 / (counts - 1)
        degrees = squared**2 / (parts[..., :, None] + parts[..., None, :])
    known = np.isfinite(degrees) & (squared > NO_SPREAD**2) & ~np.eye(groups, dtype=bool)
    degrees = np.where(known, degrees, 1.0)
    widths = critical_values(groups, degrees, level) * np.sqrt(np.where(known, squared, 0.0))
    return Intervals(means[..., :, None] - means[..., None, :], np.where(known, widths, np.inf), degrees)


def blocked(units: Array, level: float = LEVEL, least_variance: float = 0.0) -> Intervals:
    """Return the intervals for the differences of all pairs of optimizers, with the replicates as blocks.

    `units` has shape (..., groups, replicates). The variance of a difference is the larger of two: twice the pooled
    residual mean square (Tukey 1953), and the pair's own variance, so that a pair with more variance than the others
    does not get too short an interval. The variance of a single unit is at least `least_variance`.
    """
    groups, count = units.shape[-2:]
    means = units.mean(axis=-1)
    differences = means[..., :, None] - means[..., None, :]
    freedom = float((groups - 1) * (count - 1))
    degrees = np.full_like(differences, freedom)
    if not freedom:
        return Intervals(differences, np.full_like(differences, np.inf), degrees)
    centred = units - units.mean(axis=-2, keepdims=True)  # removes what all optimizers share in a replicate
    residuals = centred - centred.mean(axis=-1, keepdims=True)
    pooled = 2 * (residuals**2).sum(axis=(-2, -1)) / freedom
    own = (units[..., :, None, :] - units[..., None, :, :]).var(axis=-1, ddof=1)
    variances = np.maximum(np.maximum(pooled[..., None, None], own), 2 * least_variance) / count
    widths = critical_values(groups, np.array(freedom), block_level(level)) * np.sqrt(variances)
    known = (variances > NO_SPREAD**2) & ~np.eye(groups, dtype=bool)
    return Intervals(differences, np.where(known, widths, np.inf), degrees)


def block_level(level: float) -> float:
    """Return the confidence at which intervals with blocks are computed, so that they hold at `level`.

    Without this correction, 5.9% of sweeps instead of 5% would claim something false if the optimizers' variances
    are unequal and their values skewed (benchmark `statistics`).
    """
    return 1 - BLOCKED_RISK * (1 - level)
