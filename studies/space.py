"""What a study searches: typed ranges and choices over fields of the config, and their Optuna distributions."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from pydantic import Field, model_validator

from harness.config import FrozenModel, RunConfig, with_settings


class Range(FrozenModel):
    """A real interval, searched uniformly in the value or, with `log`, in its logarithm.

    `start` is the published value that a study tries first.
    """

    kind: Literal["range"] = "range"
    low: float
    high: float
    log: bool = False
    start: float | None = None

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"low {self.low}, high {self.high}: low < high is allowed, and low > 0 with log")
        if self.start is not None and not self.low <= self.start <= self.high:
            raise ValueError(f"start {self.start}: {self.low} to {self.high} is allowed")
        return self

    def describe(self) -> str:
        """In words."""
        return f"{self.low:g} to {self.high:g}{', log-uniform' if self.log else ', uniform'}{_from(self.start)}"

    def distribution(self) -> BaseDistribution:
        """As Optuna samples it."""
        return FloatDistribution(self.low, self.high, log=self.log)


class Choice(FrozenModel):
    """One of several values. `start` is the published one that a study tries first."""

    kind: Literal["choice"] = "choice"
    choices: Annotated[tuple[int | float | str, ...], Field(min_length=1)]
    start: int | float | str | None = None

    @model_validator(mode="after")
    def _starts_at_a_choice(self) -> Self:
        if self.start is not None and self.start not in self.choices:
            raise ValueError(f"start {self.start!r}: one of {self.choices} is allowed")
        return self

    def describe(self) -> str:
        """In words."""
        return f"one of {', '.join(map(str, self.choices))}{_from(self.start)}"

    def distribution(self) -> BaseDistribution:
        """As Optuna samples it."""
        return CategoricalDistribution(self.choices)


def _from(start: float | str | None) -> str:
    return "" if start is None else f", from {start:g}" if isinstance(start, float) else f", from {start}"


Dimension = Annotated[Range | Choice, Field(discriminator="kind")]
Space = dict[str, Dimension]


def trial_config(base: RunConfig, optimizer: str, values: Mapping[str, Any], epochs: int, seed: int) -> RunConfig:
    """The full config of a trial or final: `base` with the optimizer and the searched values."""
    return with_settings(base, {"optimizer.name": optimizer, **values, "epochs": epochs, "seed": seed})
