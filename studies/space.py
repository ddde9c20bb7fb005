"""What a study searches: typed ranges and choices over fields of the config, and their Optuna distributions."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from pydantic import Field, model_validator

from harness.config import FrozenModel, RunConfig, with_settings


class Range(FrozenModel):
    """A real interval, searched uniformly in the value or, with `log`, in its logarithm."""

    kind: Literal["range"] = "range"
    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"low {self.low}, high {self.high}: low < high is allowed, and low > 0 with log")
        return self

    def distribution(self) -> BaseDistribution:
        """As Optuna samples it."""
        return FloatDistribution(self.low, self.high, log=self.log)


class Choice(FrozenModel):
    """One of several values."""

    kind: Literal["choice"] = "choice"
    choices: Annotated[tuple[int | float | str, ...], Field(min_length=1)]

    def distribution(self) -> BaseDistribution:
        """As Optuna samples it."""
        return CategoricalDistribution(self.choices)


Dimension = Annotated[Range | Choice, Field(discriminator="kind")]
Space = dict[str, Dimension]


def trial_config(base: RunConfig, optimizer: str, values: Mapping[str, Any], epochs: int, seed: int) -> RunConfig:
    """The full config of a trial or final: `base` with the optimizer and the searched values."""
    return with_settings(base, {"optimizer.name": optimizer, **values, "epochs": epochs, "seed": seed})
