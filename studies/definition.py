"""Define what a sweep does, as a plain value that can be hashed and stored."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from harness.config import OPTIMIZER_CONFIGS, FrozenModel, RunConfig, Seed, parse_config
from harness.errors import BadInputError, unknown
from studies.pruning import halving_rungs
from studies.requirements import (
    JUDGED,
    require_comparable,
    require_different,
    require_judged,
    require_looks,
    require_paid_grid,
    require_rungs,
    require_seeds,
)
from studies.space import Choice, Range, Space, overlap, trial_config

Count = Annotated[int, Field(ge=1)]
Rung = Annotated[int | float, Field(gt=0)]  # an integer stays an integer, so that older definitions keep their hash


def _variant_name(text: str) -> str:
    """Refuse a name that MLflow does not accept as part of a param or metric name on every system."""
    if re.fullmatch(r"[\w.\- ]+", text) is None:
        raise BadInputError("variant", text, expected="a name of letters, digits, spaces, '_', '-' and '.'")
    return text


VariantName = Annotated[str, Field(max_length=100), AfterValidator(_variant_name)]
LEVEL = 0.95  # joint confidence of all intervals of a sweep, over all its looks
FINALS_RISK = 0.65  # the part of the allowed risk of a false claim that intervals of one replicate's finals use
NOT_SEARCHED = {
    "epochs": "the budget is counted in epochs",
    "seed": "trials use the base's seed, finals fresh ones",
    "optimizer.name": "each optimizer has its own study",
}


class SweepDefinition(FrozenModel):
    """Define what a sweep does. Each optimizer has one study, with a budget for all of its trials together.

    A study asks for `at_once` trials together and waits for all of them at each rung, so the results do not depend on
    workers or timing. With `asynchronous` it does not wait, and they do. Within an epoch a trial is judged on the
    part of the validation set that its trajectory uses; at the end of an epoch, on the whole set. A key that a
    variant fixes is not searched: a dimension that waits for a larger budget is dropped, and any other dimension on
    that key is an error.
    """

    added_later: ClassVar[frozenset[str]] = frozenset(
        {"rungs", "confirm", "start_finals", "replicates", "looks", "added_looks", "margin"}
    )

    base: RunConfig
    """The config of every run; searched values, `trial_epochs`, `final_epochs` and `final_seeds` replace its own."""
    optimizers: Annotated[tuple[str, ...], Field(min_length=1)]
    """The optimizers to compare: names of the registry or of `variants`, or `module:Class` for your own."""
    variants: dict[VariantName, dict[str, Any]] = Field(default_factory=dict)
    """Named variants: the settings, by config key, that make each of them, such as another activation."""
    space: Space
    """The ranges and choices that every study searches, by config key."""
    spaces: dict[str, Space]
    """Further ranges and choices that only one optimizer's study searches, by optimizer."""
    budget: Count
    """Epochs of all trials of an optimizer together."""
    trial_epochs: Count
    """Epochs of a trial that is not pruned."""
    sampler: Literal["tpe", "prior", "random", "sobol", "grid"] = "tpe"
    """How trials are drawn."""
    pruning: bool = True
    """Stop the worse trials early, at the rungs of successive halving."""
    warm_up: Rung = 1
    """The first rung in epochs, if `rungs` is not declared; each next rung is `reduction_factor` times as late."""
    rungs: tuple[Rung, ...] | None = None
    """The rungs: epochs, or fractions such as 0.125, after each of which the worse trials are pruned."""
    reduction_factor: Annotated[int, Field(ge=2)] = 2
    """The best 1/`reduction_factor` of a study's trials continue at each rung."""
    at_once: Count = 1
    """The number of trials of a study that begin together."""
    asynchronous: bool = False
    """Judge each trial at once; results depend on timing."""
    final_seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    """The seeds of each winner's finals."""
    final_epochs: Count
    """Epochs of a final."""
    confirm: bool = False
    """Train the best trials on further seeds too, if the budget is large enough; the best mean accuracy wins."""
    start_finals: bool = False
    """Also train each study's published start on the finals' seeds."""
    replicates: Count = 1
    """Whole searches per optimizer, each with its own seeds and its own validation split."""
    looks: tuple[Count, ...] | None = None
    """Numbers of finals or replicates at which verdicts are taken; optimizers whose pairs are decided stop there."""
    added_looks: Annotated[int, Field(ge=0)] = 0
    """How many of the looks were added after the sweep had begun; the harness counts them."""
    margin: Annotated[float, Field(gt=0, le=100)] | None = None
    """The difference in accuracy that matters to nobody, in points; by default an eighth of the best error."""

    seed: Annotated[int, Field(ge=0)] = 0
    """The seed of the searches."""
    subset: bool = False
    """Mark a sweep whose accuracies mean nothing, because it trains on a part of the data."""

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        for name in self.optimizers:
            if name not in OPTIMIZER_CONFIGS and name not in self.variants and ":" not in name:
                raise unknown("optimizer", name, [*OPTIMIZER_CONFIGS, *self.variants], "correct its name")
            require_comparable(name, self.variants.get(name, {}))
            for key, dimension in self._space(name).items():
                if key in NOT_SEARCHED:
                    raise BadInputError(
                        key, problem=f"can't be searched: {NOT_SEARCHED[key]}", next_step="remove it from the space"
                    )
                fixed = self._fixed(name, key)
                if fixed is not None and dimension.from_trials == 1:
                    raise BadInputError(
                        "variant",
                        name,
                        f"fixes {fixed} to {self.variants[name][fixed]!r}, and {key} is searched",
                        expected="a key that is either fixed or searched",
                        next_step="remove it from the variant or from its space",
                    )
        if self.budget < self.trial_epochs:
            raise BadInputError(
                "budget", self.budget, expected=f"{self.trial_epochs} (the epochs of a trial) or more"
            )
        require_seeds(self.final_seeds, self.base.seed, self.base.dataset.split_seed, self.replicates)
        if self.base.dataset.validation_size == 0:
            raise BadInputError("base.dataset.validation_size", 0, expected=JUDGED)
        return self

    @model_validator(mode="after")
    def _has_nothing_twice(self) -> Self:
        require_different("optimizers", self.optimizers)
        spaces = {"space": self.space} | {f"spaces.{name}": each for name, each in self.spaces.items()}
        for where, space in spaces.items():
            for key, each in space.items():
                if isinstance(each, Choice):
                    require_different(f"{where}.{key}", each.choices)
        return self

    @model_validator(mode="after")
    def _has_sound_rungs_and_looks(self) -> Self:
        require_rungs(self.rungs, self.pruned_at, self.base.trajectory.images)
        counted, most = ("replicates", self.replicates) if self.replicates > 1 else ("finals", len(self.final_seeds))
        require_looks(self.looks_at, most, counted)
        return self

    @model_validator(mode="after")
    def _draws_what_a_trial_can_have(self) -> Self:
        for name in self.optimizers:
            drawn = {
                key: [each.at(0.5), *(each.grid() if self.sampler == "grid" else each.extremes())]
                for key, each in self.searched(name).items()
            }
            for number in range(max(map(len, drawn.values()), default=1)):
                # one value of every key at a time: a config for each combination would take too long
                values = {
                    key: each.value(drawn[key][min(number, len(drawn[key]) - 1)])
                    for key, each in self.searched(name).items()
                }
                refusal = self._refusal(name, values)
                if refusal is not None:
                    raise self._of_the_space(name, values, refusal)
        return self

    @model_validator(mode="after")
    def _grid_is_paid_for(self) -> Self:
        if self.sampler == "grid":
            sizes = {
                name: math.prod(len(each.grid()) for each in self.searched(name).values()) for name in self.optimizers
            }
            require_paid_grid(sizes, self.trial_epochs, self.budget, self.pruning)
        return self

    @property
    def trials(self) -> int:
        """Return the number of whole trials that an optimizer's budget pays for; with pruning there are more."""
        return self.budget // self.trial_epochs

    @property
    def total_epochs(self) -> int:
        """Return an upper bound of the epochs of all trials and finals; verdicts and winning starts may save some."""
        of_finals = len(self.final_seeds) * self.final_epochs * (1 + self.start_finals)
        return len(self.optimizers) * self.replicates * (self.budget + of_finals)

    @property
    def looks_at(self) -> tuple[int, ...]:
        """Return the numbers of finals (or of replicates, if there are several) at which verdicts are taken."""
        return self.looks or ((self.replicates,) if self.replicates > 1 else (len(self.final_seeds),))

    def level_at(self, look: int) -> float:
        """Return the confidence of the intervals at a look.

        The looks with which the sweep began share the risk of a false claim evenly. A look that was added later finds
        this risk spent. So it takes half of it on top, and each further one half of the one before. The finals of one
        replicate use only a part of the risk: with few finals whose variances are unequal and that are skewed, Games
        and Howell's intervals would otherwise claim something false too often (benchmark `statistics`).
        """
        begun_with = max(1, len(self.looks_at) - self.added_looks)
        added = sum(each <= look for each in self.looks_at[begun_with:])
        risk = (1 - LEVEL) * (FINALS_RISK if self.replicates == 1 else 1.0)
        return 1 - risk / (2**added if added else begun_with)

    @property
    def confidence(self) -> float:
        """Return the joint confidence of all intervals at all looks. Added looks can at most double the risk."""
        return round(1 - (1 - LEVEL) * (2 if self.added_looks else 1), 9)  # .9, not .8999999999999999

    @property
    def pruned_at(self) -> tuple[float, ...]:
        """Return the rungs below `trial_epochs`, in epochs; empty without pruning."""
        if not self.pruning:
            return ()
        declared = self.rungs or halving_rungs(self.warm_up, self.reduction_factor, self.trial_epochs)
        return tuple(rung for rung in declared if rung < self.trial_epochs)

    @property
    def milestones(self) -> tuple[float, ...]:
        """Return the points, in epochs, at which a trial's accuracy is compared: rungs and ends of epochs."""
        return tuple(sorted({*self.pruned_at, *range(1, self.trial_epochs + 1)}))

    def halved(self, trials: int) -> float:
        """Return the epochs that a round of `trials` trials takes when only the best continue at each rung."""
        epochs, before = 0.0, 0.0
        for rung in self.pruned_at:
            epochs += trials * (rung - before)
            trials, before = math.ceil(trials / self.reduction_factor), rung
        return epochs + trials * (self.trial_epochs - before)

    def trial_config(self, name: str, values: Mapping[str, Any]) -> RunConfig:
        """Return the config of an optimizer's trial with the searched values.

        With rungs within epochs, the trial is validated within epochs only at those rungs, since each point takes
        much of a short trial's time.
        """
        within = tuple(rung for rung in self.pruned_at if rung % 1)
        measured = {"trajectory.points": within, "trajectory.every": 1} if within else {}
        settings = {**self.settings(name), **values, **measured}
        return trial_config(self.base, settings, self.trial_epochs, self.base.seed)

    def images(self, name: str, epochs: float) -> int:
        """Return the number of training images in that many epochs of an optimizer's trials."""
        settings, data = self.settings(name), self.base.dataset
        if "dataset.name" in settings:  # another dataset may have another number of images by default
            data = self.example(name).dataset
        return int(epochs * settings.get("dataset.train_size", data.train_size))

    def final_config(self, winner: RunConfig, seed: int) -> RunConfig:
        """Return the config of a final: the winning trial's config with this seed and the length of finals.

        A final records its trajectory as the base does. The config is not validated, so that finals can be identified
        even if the user's own code that the winner needs is missing.
        """
        changes = {"epochs": self.final_epochs, "seed": seed, "trajectory": self.base.trajectory}
        return winner.model_copy(update=changes)

    def settings(self, name: str) -> dict[str, Any]:
        """Return the settings, by dotted key, that turn the base config into that optimizer's."""
        return dict(self.variants[name]) if name in self.variants else {"optimizer.name": name}

    def example(self, name: str, position: float = 0.5) -> RunConfig:
        """Return a trial's config with each dimension at `position` (0 <= position < 1) of its range or choices."""
        values = {key: each.value(each.at(position)) for key, each in self.searched(name).items()}
        return self.trial_config(name, values)

    def examples(self, name: str) -> Iterator[RunConfig]:
        """Yield configs of that optimizer's trials that cover each model, dataset and schedule it can draw."""
        yield self.example(name)
        searched = self.searched(name)
        middle = {key: each.value(each.at(0.5)) for key, each in searched.items()}
        for key, each in searched.items():
            for value in each.grid() if key.endswith(".name") else ():
                yield self.trial_config(name, middle | {key: value})

    def values_of(self, key: str) -> list[Any]:
        """Return the values of a key such as `device` that trials can have; of a range, its ends and some between."""
        dimensions = [(name, self.searched(name).get(key)) for name in self.optimizers]
        values = [each.extremes() if each else [getattr(self.example(name), key)] for name, each in dimensions]
        return list(dict.fromkeys(itertools.chain.from_iterable(values)))

    def batch_sizes(self, name: str) -> Sequence[int]:
        """Return the batch sizes that the optimizer's study can draw."""
        each = self.searched(name).get("batch_size")
        if isinstance(each, Range):
            return range(math.ceil(each.low), math.floor(each.high) + 1)
        return each.grid() if each else ()

    def searched(self, name: str) -> Space:
        """Return the dimensions that an optimizer's study searches under this budget, by dotted key."""
        return {
            key: each
            for key, each in self._space(name).items()
            if each.from_trials <= self.trials and self._fixed(name, key) is None
        }

    def _space(self, name: str) -> Space:
        return self.spaces.get(name, {}) | self.space

    def _fixed(self, name: str, key: str) -> str | None:
        """Return the key that the variant `name` fixes and that overlaps `key`; None if it fixes none."""
        return next((each for each in self.variants.get(name, {}) if overlap(each, key)), None)

    def _of_the_space(self, name: str, values: Mapping[str, Any], refusal: BadInputError) -> BadInputError:
        """Return the error about drawn values as one about the space; an error of the base config stays as it is."""
        of_the_rest = self._refusal(name, {})
        if of_the_rest is not None and of_the_rest.without_next_step == refusal.without_next_step:
            return refusal
        whole = [
            key
            for key, value in values.items()
            if isinstance(value, float)
            and self._refusal(name, {key: value})
            and not self._refusal(name, {key: round(value)})
        ]
        hint = f"set integer = true in the range of {' and '.join(whole)}" if whole else "correct the space"
        return refusal.but(next_step=hint).within(f"space of {name!r}")

    def _refusal(self, name: str, values: Mapping[str, Any]) -> BadInputError | None:
        """Return the error that a trial with these values, or its final, raises; None if they are valid."""
        try:
            config = self.trial_config(name, values)
            require_judged(config, self.pruned_at)
            if self.final_epochs < self.trial_epochs:  # a warm-up may be longer than a final alone
                parse_config(self.final_config(config, self.final_seeds[0]).model_dump())
        except BadInputError as error:
            return error
        return None
