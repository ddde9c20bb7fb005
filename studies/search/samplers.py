"""The samplers, a row each: what Optuna draws by them, and what is planned whatever it would draw."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial
from scipy.stats import qmc

from studies.space import Space

STARTUP_TRIALS = 3  # before TPE's model; Optuna's ten would leave a small budget all random


@dataclass(frozen=True)
class SamplerRow:
    """A sampler: Optuna's own, of what a study's trials have in common and a seed, and the values that are `planned`.

    Those are of the trial of a number, by Optuna's name of the parameter; the seed is the study's. What is not
    planned is left to Optuna's sampler.
    """

    optuna: Callable[[IntersectionSearchSpace, int], BaseSampler]
    planned: Callable[[Space, int, int], dict[str, Any]]


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


def _start(space: Space, number: int, seed: int) -> dict[str, Any]:  # noqa: ARG001
    """The published starting point, where the dimensions name one, for a study's first trial."""
    starts = {each.parameter(key): each.start_drawn() for key, each in space.items()} if number == 0 else {}
    return {parameter: start for parameter, start in starts.items() if start is not None}


def _sobol_point(space: Space, number: int, seed: int) -> dict[str, Any]:
    """A point of Sobol's sequence, after the starting point."""
    if number == 0 or not space:
        return _start(space, number, seed)
    (point,) = qmc.Sobol(len(space), rng=seed).fast_forward(number).random(1)
    return {
        each.parameter(key): each.at(float(position))
        for (key, each), position in zip(space.items(), point, strict=True)
    }


def _grid_point(space: Space, number: int, seed: int) -> dict[str, Any]:  # noqa: ARG001
    """A point of the whole grid."""
    grids = [[(each.parameter(key), value) for value in each.grid()] for key, each in space.items()]
    return dict(next(itertools.islice(itertools.product(*grids), number, None)))


# by the names that a sweep's definition takes
SAMPLERS = {
    "tpe": SamplerRow(_Tpe, _start),
    "random": SamplerRow(_random, _start),
    "sobol": SamplerRow(_random, _sobol_point),
    "grid": SamplerRow(_random, _grid_point),
}
