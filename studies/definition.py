"""What a sweep does (its definition) and what it found (its result): plain values."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from harness.config import OPTIMIZER_CONFIGS, FrozenModel, RunConfig
from harness.errors import unknown
from studies.space import Space


class SweepDefinition(FrozenModel):
    """What a sweep does. Budgets are in epochs, the same for every optimizer.

    `space` is shared by all optimizers, `spaces` adds each one's own. `subset` marks a sweep whose accuracies mean
    nothing, because it trains on a part of the data.
    """

    base: RunConfig
    optimizers: Annotated[tuple[str, ...], Field(min_length=1)]
    space: Space
    spaces: dict[str, Space]
    trials: Annotated[int, Field(ge=1)]
    trial_epochs: Annotated[int, Field(ge=1)]
    final_seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    final_epochs: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)] = 0
    subset: bool = False

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        for optimizer in self.optimizers:
            if optimizer not in OPTIMIZER_CONFIGS:
                raise unknown("optimizer", optimizer, OPTIMIZER_CONFIGS, "correct the sweep's definition")
        if self.base.seed in self.final_seeds:
            raise ValueError(f"final_seeds hold the tuning seed {self.base.seed}; fresh seeds are allowed")
        if self.base.dataset.validation_size == 0:
            raise ValueError("base.dataset.validation_size is 0; validation selects, so 1 or more is allowed")
        return self

    @property
    def total_epochs(self) -> int:
        """Epochs of all trials and finals."""
        finals = len(self.final_seeds) * self.final_epochs
        return len(self.optimizers) * (self.trials * self.trial_epochs + finals)


class OptimizerResult(FrozenModel):
    """One optimizer's part of a sweep. Accuracies are fractions; `finals` are test accuracies in seed order."""

    trials: int
    epochs_spent: int
    best: dict[str, Any] | None
    best_validation_accuracy: float | None
    finals: tuple[float, ...]
    mean: float | None


class SweepResult(FrozenModel):
    """What a sweep found."""

    sweep_id: str
    optimizers: dict[str, OptimizerResult]
