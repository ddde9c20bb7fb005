"""The samplers, a row each: what Optuna draws by them, and what is planned whatever it would draw."""

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

STEP = 0.15  # s.d. of a step away from the start or the best trial, as a share of the range's scale
CHOICE_STAYS = 0.5
STARTUP_TRIALS = 3  # before TPE's model; Optuna's ten would leave a small budget all random


Drawn = Mapping[str, Any]  # the values of a trial, by Optuna's name of the parameter


@dataclass(frozen=True)
class SamplerRow:
    """A sampler: Optuna's own, of what a study's trials have in common and a seed, and the values that are `planned`.

    Those are of the trial of a number, by Optuna's name of the parameter, given the study's seed and the best trial
    until now, which is empty before one has ended. What is not planned is left to Optuna's sampler.
    """

    optuna: Callable[[IntersectionSearchSpace, int], BaseSampler]
    planned: Callable[[Space, int, int, Drawn], dict[str, Any]]


class _Tpe(TPESampler):
    """TPE that shares with the other asks of a study what its trials have in common; else each would find it anew."""

    def __init__(self, common: IntersectionSearchSpace, seed: int) -> None:
        super().__init__(n_startup_trials=STARTUP_TRIALS, seed=seed)
        self._common = common

    def infer_relative_search_space(
        self,
        study: optuna.Study,
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """The dimensions that all trials have and that are more than one value."""
        common = self._common.calculate(study)
        return {name: each for name, each in common.items() if not each.single()}


def _random(common: IntersectionSearchSpace, seed: int) -> BaseSampler:  # noqa: ARG001
    return RandomSampler(seed=seed)


def _start(space: Space, number: int, seed: int, best: Drawn) -> dict[str, Any]:  # noqa: ARG001
    """The published starting point, where the dimensions name one, for a study's first trial."""
    return _starts(space) if number == 0 else {}


def _starts(space: Space) -> dict[str, Any]:
    starts = {each.parameter(key): each.start_drawn() for key, each in space.items()}
    return {parameter: start for parameter, start in starts.items() if start is not None}


def _near_start_or_best(space: Space, number: int, seed: int, best: Drawn) -> dict[str, Any]:
    """Draw in turns near the published start, from the whole range, and near the best trial until now.

    So a start is a prior that the trials may overrule, as in PriorBand (Mallik et al. 2023): a third of the trials
    each. The whole range is covered evenly, by Sobol's sequence.
    """
    turn, of = divmod(number - 1, 3)
    if number == 0 or of == 1:
        return _sobol_point(space, 0 if number == 0 else turn + 1, seed, best)
    rng = np.random.default_rng([seed, number])
    centre = _starts(space) if of == 0 or not best else best
    return {each.parameter(key): _near(each, centre.get(each.parameter(key)), rng) for key, each in space.items()}


def _near(dimension: Dimension, centre: Any, rng: np.random.Generator) -> Any:  # noqa: ANN401
    """Draw a value near a drawn one: a choice stays in half of the draws, a range moves on its own scale."""
    position, stays, step = rng.random(), rng.random() < CHOICE_STAYS, rng.normal(scale=STEP)
    if centre is None:
        return dimension.at(position)
    if isinstance(dimension, Choice):
        return centre if stays else dimension.at(position)
    moved = dimension.position_drawn(centre) + step
    reflected = 1 - abs(1 - abs(moved) % 2)  # back into the range from either end
    return dimension.at(min(reflected, math.nextafter(1, 0)))


def _sobol_point(space: Space, number: int, seed: int, best: Drawn) -> dict[str, Any]:
    """A point of Sobol's sequence, after the starting point."""
    if number == 0 or not space:
        return _start(space, number, seed, best)
    (point,) = qmc.Sobol(len(space), rng=seed).fast_forward(number).random(1)
    return {
        each.parameter(key): each.at(float(position))
        for (key, each), position in zip(space.items(), point, strict=True)
    }


def _grid_point(space: Space, number: int, seed: int, best: Drawn) -> dict[str, Any]:  # noqa: ARG001
    """A point of the whole grid."""
    grids = [[(each.parameter(key), value) for value in each.grid()] for key, each in space.items()]
    return dict(next(itertools.islice(itertools.product(*grids), number, None)))


# by the names that a sweep's definition takes
SAMPLERS = {
    "tpe": SamplerRow(_Tpe, _start),
    "prior": SamplerRow(_random, _near_start_or_best),
    "random": SamplerRow(_random, _start),
    "sobol": SamplerRow(_random, _sobol_point),
    "grid": SamplerRow(_random, _grid_point),
}
