"""What a sweep does: its definition, a plain value."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from harness.config import OPTIMIZER_CONFIGS, FrozenModel, RunConfig
from harness.errors import BadInputError, unknown
from studies.pruning import halving_rungs
from studies.space import Range, Space, overlap, trial_config

Count = Annotated[int, Field(ge=1)]
Rung = Annotated[int | float, Field(gt=0)]  # a whole number stays one, as the hash of older definitions has it


def _variant_name(text: str) -> str:
    """Refuse a name that MLflow does not take in a param's or metric's name on every system."""
    if re.fullmatch(r"[\w.\- ]+", text) is None:
        raise BadInputError("variant", text, expected="a name of letters, digits, spaces, '_', '-' and '.'")
    return text


VariantName = Annotated[str, Field(max_length=100), AfterValidator(_variant_name)]
LEVEL = 0.95  # of all intervals of a sweep together, at all its looks
LEAST_UNITS = 3  # finals, or replicates, below which nothing is claimed
SEEDS_APART = 1000  # of a replicate and the next
NOT_SEARCHED = {
    "epochs": "the budget is counted in them",
    "seed": "trials have the base's, finals fresh ones",
    "optimizer.name": "each optimizer has a study of its own",
}


class SweepDefinition(FrozenModel):
    """What a sweep does. Each of its optimizers has one study, and the budget for all trials of it together.

    A study asks `at_once` trials at a time and waits for them at each rung, so that workers and timing change
    nothing; where it is `asynchronous` it waits for nothing, and they do. Within an epoch a trial is judged on the
    part of the validation set that its trajectory is measured on, at its end on all of it. What a variant fixes is
    not searched: a dimension that waits for a larger budget gives way to it, any other is refused.
    """

    added_later: ClassVar[frozenset[str]] = frozenset(
        {"rungs", "confirm", "start_finals", "replicates", "looks", "margin"}
    )

    base: RunConfig
    """The config of every run, but for what is searched."""
    optimizers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Which optimizers are compared: names of the registry or of `variants`, or a user's own, `module:Class`."""
    variants: dict[VariantName, dict[str, Any]] = Field(default_factory=dict)
    """What makes an optimizer of another name: settings by config key, such as another activation."""
    space: Space
    """What each study searches, by config key."""
    spaces: dict[str, Space]
    """What the study of one optimizer searches beside it, by optimizer."""
    budget: Count
    """Epochs of all trials of an optimizer together."""
    trial_epochs: Count
    """Epochs of a trial that is not pruned."""
    sampler: Literal["tpe", "prior", "random", "sobol", "grid"] = "tpe"
    """How trials are drawn."""
    pruning: bool = True
    """Stop the worse trials early, at the rungs of successive halving."""
    warm_up: Rung = 1
    """The first rung where none are declared, in epochs; each next one is `reduction_factor` times as many."""
    rungs: tuple[Rung, ...] | None = None
    """Epochs, whole or not (0.125: an eighth), after each of which the worse trials are pruned."""
    reduction_factor: Annotated[int, Field(ge=2)] = 2
    """One in so many of a study's trials goes on at a rung, the best."""
    at_once: Count = 1
    """Trials of a study that begin together."""
    asynchronous: bool = False
    """Judge trials as they come; timing decides what is tried."""
    final_seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    """Seeds of the finals of each winner."""
    final_epochs: Count
    """Epochs of a final."""
    confirm: bool = False
    """Train a study's best trials on further tuning seeds too, out of a budget that is enough; the best mean wins."""
    start_finals: bool = False
    """Measure the published start of each study on the finals' seeds too."""
    replicates: Count = 1
    """Whole searches of each optimizer, with a search, seeds and a validation split of their own."""
    looks: tuple[Count, ...] | None = None
    """Numbers of finals, or of several replicates, at which verdicts are taken; what is decided trains no more."""
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
            for key, dimension in self._space(name).items():
                if key in NOT_SEARCHED:
                    raise BadInputError(
                        key, problem=f"can't be searched, {NOT_SEARCHED[key]}", next_step="leave it out of the space"
                    )
                fixed = self._fixed(name, key)
                if fixed is not None and dimension.from_trials == 1:
                    raise BadInputError(
                        "variant",
                        name,
                        f"fixes {fixed} to {self.variants[name][fixed]!r}, and {key} is searched",
                        expected="one of the two",
                        next_step="leave it out of the variant or of its space",
                    )
        if self.budget < self.trial_epochs:
            raise BadInputError("budget", self.budget, expected=f"{self.trial_epochs} or more, the epochs of a trial")
        if len(set(self.final_seeds)) < len(self.final_seeds):
            raise BadInputError("final_seeds", self.final_seeds, "hold one twice", expected="different seeds")
        if self.base.seed in self.final_seeds:
            raise BadInputError(
                "final_seeds", self.final_seeds, f"hold the tuning seed {self.base.seed}", expected="fresh seeds"
            )
        if self.base.dataset.validation_size == 0:
            raise BadInputError("base.dataset.validation_size", 0, expected="1 or more, since validation selects")
        return self

    @model_validator(mode="after")
    def _has_sound_rungs(self) -> Self:
        if self.rungs is not None and list(self.rungs) != sorted(set(self.rungs)):
            raise BadInputError(
                "rungs", list(self.rungs), expected="epochs or fractions of them, each more than the last"
            )
        if any(rung % 1 for rung in self.pruned_at) and not self.base.trajectory.images:
            raise BadInputError(
                "rungs",
                list(self.pruned_at),
                "within an epoch, where base.trajectory.images is 0",
                expected="rungs of whole epochs, or images to measure trials on",
                next_step="choose one of the two",
            )
        return self

    @model_validator(mode="after")
    def _has_sound_looks(self) -> Self:
        counted, most = ("replicates", self.replicates) if self.replicates > 1 else ("finals", len(self.final_seeds))
        looks = list(self.looks_at)
        if looks != sorted(set(looks)) or looks[-1] != most or (len(looks) > 1 and looks[0] < LEAST_UNITS):
            raise BadInputError(
                "looks",
                looks,
                expected=f"numbers of {counted}, each more than the last, from {LEAST_UNITS} to {most}, which is all",
            )
        seeds = (self.base.seed, *self.final_seeds, self.base.dataset.split_seed)
        if self.replicates > 1 and max(seeds) >= SEEDS_APART:
            raise BadInputError(
                "base.seed, final_seeds, base.dataset.split_seed",
                seeds,
                expected=f"less than {SEEDS_APART}, by which those of one replicate and the next differ",
            )
        return self

    @model_validator(mode="after")
    def _draws_what_a_trial_can_have(self) -> Self:
        for name in self.optimizers:
            drawn = {
                key: [each.at(0.5), *(each.grid() if self.sampler == "grid" else each.extremes())]
                for key, each in self.searched(name).items()
            }
            for number in range(max(map(len, drawn.values()), default=1)):
                # of all keys at once: a config for each value of each key would take long
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
        if self.sampler != "grid":
            return self
        if self.pruning:
            raise BadInputError(
                "sampler",
                "grid",
                "with pruning",
                expected="a whole grid",
                next_step="declare pruning = false, or say `no_pruning`",
            )
        for name in self.optimizers:
            points = math.prod(len(each.grid()) for each in self.searched(name).values())
            if points * self.trial_epochs != self.budget:
                raise BadInputError(
                    "budget",
                    self.budget,
                    expected=f"{points * self.trial_epochs}, the {points} points of {name}'s grid at "
                    f"{self.trial_epochs} epochs each",
                )
        return self

    @property
    def trials(self) -> int:
        """How many whole trials the budget of an optimizer pays; with pruning there are more."""
        return self.budget // self.trial_epochs

    @property
    def total_epochs(self) -> int:
        """How many epochs all trials and finals take at most: looks, and starts that win, save some."""
        of_finals = len(self.final_seeds) * self.final_epochs * (1 + self.start_finals)
        return len(self.optimizers) * self.replicates * (self.budget + of_finals)

    @property
    def looks_at(self) -> tuple[int, ...]:
        """After how many finals, or replicates where there are several, the verdicts are taken."""
        return self.looks or ((self.replicates,) if self.replicates > 1 else (len(self.final_seeds),))

    @property
    def level(self) -> float:
        """The confidence of each look's intervals: the looks share the risk of a false claim evenly."""
        return 1 - (1 - LEVEL) / len(self.looks_at)

    @property
    def pruned_at(self) -> tuple[float, ...]:
        """After how many epochs trials are pruned."""
        if not self.pruning:
            return ()
        declared = self.rungs or halving_rungs(self.warm_up, self.reduction_factor, self.trial_epochs)
        return tuple(rung for rung in declared if rung < self.trial_epochs)

    @property
    def milestones(self) -> tuple[float, ...]:
        """After how many epochs a trial is measured to be judged: the rungs, and the ends of its epochs."""
        return tuple(sorted({*self.pruned_at, *range(1, self.trial_epochs + 1)}))

    def halved(self, trials: int) -> float:
        """Return the epochs of so many trials that begin together, the best of them going on at each rung."""
        epochs, before = 0.0, 0.0
        for rung in self.pruned_at:
            epochs += trials * (rung - before)
            trials, before = math.ceil(trials / self.reduction_factor), rung
        return epochs + trials * (self.trial_epochs - before)

    def trial_config(self, name: str, values: Mapping[str, Any]) -> RunConfig:
        """Return the config of a trial of that optimizer with the searched values.

        Where rungs are within epochs, it is measured there at them alone: to a short trial each point is dear.
        """
        within = tuple(rung for rung in self.pruned_at if rung % 1)
        measured = {"trajectory.points": within, "trajectory.every": 1} if within else {}
        settings = {**self.settings(name), **values, **measured}
        return trial_config(self.base, settings, self.trial_epochs, self.base.seed)

    def images(self, name: str, epochs: float) -> int:
        """Return how many images so many epochs of that optimizer's trials are."""
        size = self.settings(name).get("dataset.train_size", self.base.dataset.train_size)
        return int(epochs * size)

    def final_config(self, winner: RunConfig, seed: int) -> RunConfig:
        """Return the config of a final: that of the trial which won, on a seed of its own, as long as finals train.

        It is measured within its epochs as the base is. It is not checked, so that finals are told apart without the
        user's own parts that the winner may have.
        """
        changes = {"epochs": self.final_epochs, "seed": seed, "trajectory": self.base.trajectory}
        return winner.model_copy(update=changes)

    def settings(self, name: str) -> dict[str, Any]:
        """What makes the base that optimizer's."""
        return dict(self.variants[name]) if name in self.variants else {"optimizer.name": name}

    def example(self, name: str, position: float = 0.5) -> RunConfig:
        """A trial at that position, in [0, 1), of each range and choice that the optimizer's study searches."""
        values = {key: each.value(each.at(position)) for key, each in self.searched(name).items()}
        return self.trial_config(name, values)

    def examples(self, name: str) -> Iterator[RunConfig]:
        """Return trials of that optimizer with each model, dataset and schedule that its study can draw."""
        yield self.example(name)
        searched = self.searched(name)
        middle = {key: each.value(each.at(0.5)) for key, each in searched.items()}
        for key, each in searched.items():
            for value in each.grid() if key.endswith(".name") else ():
                yield self.trial_config(name, middle | {key: value})

    def batch_sizes(self, name: str) -> Sequence[int]:
        """Return the batch sizes that the optimizer's study can draw."""
        each = self.searched(name).get("batch_size")
        if isinstance(each, Range):
            return range(math.ceil(each.low), math.floor(each.high) + 1)
        return each.grid() if each else ()

    def searched(self, name: str) -> Space:
        """What that optimizer's study searches under this budget."""
        return {
            key: each
            for key, each in self._space(name).items()
            if each.from_trials <= self.trials and self._fixed(name, key) is None
        }

    def _space(self, name: str) -> Space:
        return self.spaces.get(name, {}) | self.space

    def _fixed(self, name: str, key: str) -> str | None:
        """What the variant of that name fixes of a key; None where it leaves all of it open."""
        return next((each for each in self.variants.get(name, {}) if overlap(each, key)), None)

    def _of_the_space(self, name: str, values: Mapping[str, Any], refusal: BadInputError) -> BadInputError:
        """Return a refusal of drawn values as one of the space that has them. One of the rest stays as it is."""
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
        hint = f"say integer = true of the range of {' and '.join(whole)}" if whole else "correct the space"
        return refusal.but(next_step=hint).within(f"space of {name!r}")

    def _refusal(self, name: str, values: Mapping[str, Any]) -> BadInputError | None:
        """Return why no trial can have these values; None where one can."""
        try:
            self.trial_config(name, values)
        except BadInputError as error:
            return error
        return None
