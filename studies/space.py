"""What a study searches: typed ranges and choices over fields of the config, and how a value is drawn from them."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from harness.config import FrozenModel, RunConfig, with_settings
from harness.errors import BadInputError

TrialCount = Annotated[int, Field(ge=1)]


class Range(FrozenModel):
    """An interval, searched uniformly in the value or, with `log`, in its logarithm; with `integer`, its integers.

    `complement`: `low` and `high` are of 1 - value, which is what is searched: for a decay near 1, such as Adam's β1,
    1 - β is what its effect is proportional to. `start` is the published value that a study tries first. A study
    searches the field only where its budget pays for `from_trials` whole trials. `points` is how many of a grid.
    """

    kind: Literal["range"] = "range"
    low: float
    high: float
    log: bool = False
    integer: bool = False
    complement: bool = False
    start: float | None = None
    from_trials: TrialCount = 1
    points: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise BadInputError("low, high", (self.low, self.high), expected="low < high, and low > 0 with log")
        if self.integer and (self.complement or self.low % 1 or self.high % 1):
            raise BadInputError("low, high", (self.low, self.high), expected="integers, and no complement")
        start = self.start_drawn()
        if self.integer and start is not None and start % 1:
            raise BadInputError("start", self.start, expected="an integer")
        if start is not None and not self.low <= start <= self.high:
            raise BadInputError("start", self.start, expected=f"{self.low} to {self.high}")
        return self

    def describe(self) -> str:
        """Return the dimension in words."""
        what = "1 - value " if self.complement else "integers " if self.integer else ""
        return f"{what}{self.low:g} to {self.high:g}{', log-uniform' if self.log else ', uniform'}{_from(self.start)}"

    def parameter(self, key: str) -> str:
        """What Optuna calls it."""
        return f"1-{key}" if self.complement else key

    def value(self, drawn: float) -> float:
        """What the config gets."""
        return 1 - drawn if self.complement else drawn

    def start_drawn(self) -> float | None:
        """The start as it is drawn."""
        return self.start if self.start is None or not self.complement else 1 - self.start

    def at(self, position: float) -> float:
        """What is drawn at a position in [0, 1)."""
        if self.integer:  # each has the part of the scale from it to the next
            end = self.high + 1
            grown = self.low * (end / self.low) ** position if self.log else self.low + position * (end - self.low)
            return min(math.floor(grown), int(self.high))
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        between = low + position * (high - low)
        return min(max(math.exp(between) if self.log else between, self.low), self.high)

    def position(self, value: float) -> float:
        """Return where a config's value is between the ends of the range, 0 to 1, on the scale that is searched."""
        drawn = self.position_drawn(1 - value if self.complement else value)
        return 1 - drawn if self.complement else drawn

    def position_drawn(self, drawn: float) -> float:
        """Return where a drawn value is between the ends of the range, 0 to 1, on the scale that is searched."""
        scale = math.log if self.log else float
        low, high = scale(self.low), scale(self.high)
        return (scale(drawn) - low) / (high - low)

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value that a config gets."""
        low, high = sorted((self.value(self.low), self.value(self.high)))
        return low, high

    @property
    def is_log_in_value(self) -> bool:
        """Whether a config's values are spread evenly over their logarithms."""
        return self.log and not self.complement

    def extremes(self) -> list[float]:
        """Drawn values that stand for all: the ends, the start and, if integers are not meant, one that is none."""
        no_integer = self.low + (self.high - self.low) / math.pi
        drawn: list[float] = [int(self.low), int(self.high)] if self.integer else [self.low, self.high, no_integer]
        start = self.start_drawn()
        return drawn if start is None else [*drawn, start]

    def grid(self) -> list[float]:
        """`points` values from `low` to `high`, evenly spread, on the log scale where it is one."""
        spread = np.geomspace if self.log else np.linspace
        values = [float(value) for value in spread(self.low, self.high, self.points or 2)]
        return sorted({round(value) for value in values}) if self.integer else values


class Choice(FrozenModel):
    """One of several values. `start` is the published one, which a study tries first; `from_trials` as of a range."""

    kind: Literal["choice"] = "choice"
    choices: Annotated[tuple[bool | int | float | str, ...], Field(min_length=1)]
    start: bool | int | float | str | None = None
    from_trials: TrialCount = 1

    @model_validator(mode="after")
    def _starts_at_a_choice(self) -> Self:
        if self.start is not None and self.start not in self.choices:
            raise BadInputError("start", self.start, expected=f"one of {', '.join(map(repr, self.choices))}")
        return self

    def describe(self) -> str:
        """Return the dimension in words."""
        return f"one of {', '.join(map(str, self.choices))}{_from(self.start)}"

    def parameter(self, key: str) -> str:
        """What Optuna calls it."""
        return key

    def value(self, drawn: Any) -> Any:  # noqa: ANN401
        """What the config gets."""
        return drawn

    def start_drawn(self) -> Any:  # noqa: ANN401
        """The start as it is drawn."""
        return self.start

    def at(self, position: float) -> Any:  # noqa: ANN401
        """The choice at a position in [0, 1)."""
        return self.choices[int(position * len(self.choices))]

    @property
    def is_log_in_value(self) -> bool:
        """No: choices are in no order."""
        return False

    def extremes(self) -> list[Any]:
        """All choices."""
        return list(self.choices)

    def grid(self) -> list[Any]:
        """All choices."""
        return list(self.choices)


def _from(start: float | str | None) -> str:
    return "" if start is None else f", from {start:g}" if isinstance(start, float) else f", from {start}"


Dimension = Annotated[Range | Choice, Field(discriminator="kind")]
Space = dict[str, Dimension]


def overlap(one: str, other: str) -> bool:
    """Whether two dotted keys are the same or one holds the other, as `optimizer.betas` does `optimizer.betas.0`."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def trial_config(base: RunConfig, settings: Mapping[str, Any], epochs: int, seed: int) -> RunConfig:
    """The full config of a trial or final: `base` with the optimizer's settings and the searched values."""
    return with_settings(base, {**settings, "epochs": epochs, "seed": seed})
