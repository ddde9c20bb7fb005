"""List the samplers, one row each: what Optuna's sampler draws, and which values are planned instead."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial
from scipy.stats import qmc

from studies.space import Choice, Dimension, Space

STEP = 0.15  # s.d. of a step away from the start or the best trial, as a share of the range on its scale
CHOICE_STAYS = 0.5  # probability that a draw near a choice keeps it
STARTUP_TRIALS = 3  # random trials before TPE's model; with Optuna's ten, a small budget would be all random


Drawn = Mapping[str, Any]  # drawn values of a trial, by Optuna's parameter name


@dataclass(frozen=True)
class SamplerRow:
    """A sampler: `optuna` makes Optuna's sampler, and `planned` returns values that are set without it.

    `optuna` takes the search space that the study's trials share, and a seed. `planned` takes the space, a trial's
    number, the study's seed and the best trial so far (empty before one has ended), and returns values by Optuna's
    parameter name. Optuna's sampler draws the parameters that are not planned.
    """

    optuna: Callable[[IntersectionSearchSpace, int], BaseSampler]
    planned: Callable[[Space, int, int, Drawn], dict[str, Any]]


class _Tpe(TPESampler):
    """TPE that reuses the search space shared by the study's trials, instead of computing it at every ask."""

    def __init__(self, common: IntersectionSearchSpace, seed: int) -> None:
        super().__init__(n_startup_trials=STARTUP_TRIALS, seed=seed)
        self._common = common

    def infer_relative_search_space(
        self,
        study: optuna.Study,
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Return the dimensions that all trials have and that hold more than one value."""
        common = self._common.calculate(study)
        return {name: each for name, each in common.items() if not each.single()}


def _random(common: IntersectionSearchSpace, seed: int) -> BaseSampler:  # noqa: ARG001
    return RandomSampler(seed=seed)


def _start(space: Space, number: int, seed: int, best: Drawn) -> dict[str, Any]:  # noqa: ARG001
    """Return the published start for a study's first trial, as far as the dimensions declare one."""
    return _starts(space) if number == 0 else {}


def _starts(space: Space) -> dict[str, Any]:
    starts = {each.parameter(key): each.start_drawn() for key, each in space.items()}
    return {parameter: start for parameter, start in starts.items() if start is not None}


def _near_start_or_best(space: Space, number: int, seed: int, best: Drawn) -> dict[str, Any]:
    """Draw near the published start, from the whole range, and near the best trial so far, in turn.

    A start is thus a prior that the trials can overrule, as in PriorBand (Mallik et al. 2023). Each kind of draw gets
    a third of the trials. A Sobol sequence covers the whole range evenly.
    """
    turn, of = divmod(number - 1, 3)
    if number == 0 or of == 1:
        return _sobol_point(space, 0 if number == 0 else turn + 1, seed, best)
    rng = np.random.default_rng([seed, number])
    centre = _starts(space) if of == 0 or not best else best
    return {each.parameter(key): _near(each, centre.get(each.parameter(key)), rng) for key, each in space.items()}


def _near(dimension: Dimension, centre: Any, rng: np.random.Generator) -> Any:  # noqa: ANN401
    """Draw a value near `centre`: half of the draws keep a choice; in a range, take a normal step on its scale."""
    position, stays, step = rng.random(), rng.random() < CHOICE_STAYS, rng.normal(scale=STEP)
    if centre is None:
        return dimension.at(position)
    if isinstance(dimension, Choice):
        return centre if stays else dimension.at(position)
    moved = dimension.position_drawn(centre) + step
    reflected = 1 - abs(1 - abs(moved) % 2)  # mirrored at the ends, so that it stays in the range
    return dimension.at(min(reflected, math.nextafter(1, 0)))


def _sobol_point(space: Space, number: int, seed: int, best: Drawn) -> dict[str, Any]:
    """Return a point of a Sobol sequence; for trial 0, the published start."""
    if number == 0 or not space:
        return _start(space, number, seed, best)
    (point,) = qmc.Sobol(len(space), rng=seed).fast_forward(number).random(1)
    return {
        each.parameter(key): each.at(float(position))
        for (key, each), position in zip(space.items(), point, strict=True)
    }


def _grid_point(space: Space, number: int, seed: int, best: Drawn) -> dict[str, Any]:  # noqa: ARG001
    """Return the point with that number of the whole grid."""
    grids = [[(each.parameter(key), value) for value in each.grid()] for key, each in space.items()]
    return dict(next(itertools.islice(itertools.product(*grids), number, None)))


# by the names that a sweep's definition uses
SAMPLERS = {
    "tpe": SamplerRow(_Tpe, _start),
    "prior": SamplerRow(_random, _near_start_or_best),
    "random": SamplerRow(_random, _start),
    "sobol": SamplerRow(_random, _sobol_point),
    "grid": SamplerRow(_random, _grid_point),
}
