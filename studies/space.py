"""Define what a study searches: ranges and choices for fields of the config, and the values drawn from them."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from harness.config import FrozenModel, RunConfig, with_settings
from harness.errors import BadInputError

TrialCount = Annotated[int, Field(ge=1)]


class Range(FrozenModel):
    """An interval, searched uniformly; with `log`, uniformly in the logarithm; with `integer`, over its integers.

    `complement` means that `low` and `high` bound 1 - value, and 1 - value is searched. It suits a decay near 1, such
    as Adam's β1, whose effect is proportional to 1 - β. `start` is the published value, which a study tries first. A
    study searches the dimension only if its budget pays for `from_trials` whole trials. `points` is the number of
    values in a grid.
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
        """Return the range in words."""
        what = "1 - value " if self.complement else "integers " if self.integer else ""
        return f"{what}{self.low:g} to {self.high:g}{', log-uniform' if self.log else ', uniform'}{_from(self.start)}"

    def parameter(self, key: str) -> str:
        """Return the name of the parameter in Optuna."""
        return f"1-{key}" if self.complement else key

    def value(self, drawn: float) -> float:
        """Return the config's value for a drawn value."""
        return 1 - drawn if self.complement else drawn

    def start_drawn(self) -> float | None:
        """Return the start on the scale of drawn values; None without one."""
        return self.start if self.start is None or not self.complement else 1 - self.start

    def at(self, position: float) -> float:
        """Return the drawn value at a position in [0, 1) of the searched scale."""
        if self.integer:  # each integer owns the part of the scale from itself to the next integer
            end = self.high + 1
            grown = self.low * (end / self.low) ** position if self.log else self.low + position * (end - self.low)
            return min(math.floor(grown), int(self.high))
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        between = low + position * (high - low)
        return min(max(math.exp(between) if self.log else between, self.low), self.high)

    def position(self, value: float) -> float:
        """Return the position of a config's value between the ends of the range, 0 to 1, on the searched scale."""
        drawn = self.position_drawn(1 - value if self.complement else value)
        return 1 - drawn if self.complement else drawn

    def position_drawn(self, drawn: float) -> float:
        """Return the position of a drawn value between the ends of the range, 0 to 1, on the searched scale."""
        scale = math.log if self.log else float
        low, high = scale(self.low), scale(self.high)
        return (scale(drawn) - low) / (high - low)

    @property
    def ends(self) -> tuple[float, float]:
        """Return the lowest and the highest value that a config can get."""
        low, high = sorted((self.value(self.low), self.value(self.high)))
        return low, high

    @property
    def is_log_in_value(self) -> bool:
        """Return whether a config's values are spread evenly over their logarithms."""
        return self.log and not self.complement

    def extremes(self) -> list[float]:
        """Return drawn values that represent the range: its ends, its start and, unless `integer`, a non-integer."""
        no_integer = self.low + (self.high - self.low) / math.pi
        drawn: list[float] = [int(self.low), int(self.high)] if self.integer else [self.low, self.high, no_integer]
        start = self.start_drawn()
        return drawn if start is None else [*drawn, start]

    def grid(self) -> list[float]:
        """Return `points` drawn values (by default 2), spread evenly from `low` to `high` on the searched scale."""
        spread = np.geomspace if self.log else np.linspace
        values = [float(value) for value in spread(self.low, self.high, self.points or 2)]
        return sorted({round(value) for value in values}) if self.integer else values


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Refuse what no choice can be in one message, where pydantic has one for each type of the union."""
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("Choice should be a finite number, a text, true or false")
    return value


PlainValue = Annotated[bool | int | float | str, BeforeValidator(_plain)]


class Choice(FrozenModel):
    """One of several values. `start` is the published value, tried first; `from_trials` is as in `Range`."""

    kind: Literal["choice"] = "choice"
    choices: Annotated[tuple[PlainValue, ...], Field(min_length=1)]
    start: PlainValue | None = None
    from_trials: TrialCount = 1

    @model_validator(mode="after")
    def _starts_at_a_choice(self) -> Self:
        if self.start is not None and self.start not in self.choices:
            raise BadInputError("start", self.start, expected=f"one of {', '.join(map(repr, self.choices))}")
        return self

    def describe(self) -> str:
        """Return the choice in words."""
        return f"one of {', '.join(map(str, self.choices))}{_from(self.start)}"

    def parameter(self, key: str) -> str:
        """Return the name of the parameter in Optuna."""
        return key

    def value(self, drawn: Any) -> Any:  # noqa: ANN401
        """Return the config's value for a drawn value."""
        return drawn

    def start_drawn(self) -> Any:  # noqa: ANN401
        """Return the start on the scale of drawn values; None without one."""
        return self.start

    def at(self, position: float) -> Any:  # noqa: ANN401
        """Return the choice at a position in [0, 1)."""
        return self.choices[int(position * len(self.choices))]

    @property
    def is_log_in_value(self) -> bool:
        """Return False: choices have no order."""
        return False

    def extremes(self) -> list[Any]:
        """Return all choices."""
        return list(self.choices)

    def grid(self) -> list[Any]:
        """Return all choices."""
        return list(self.choices)


def _from(start: float | str | None) -> str:
    return "" if start is None else f", from {start:g}" if isinstance(start, float) else f", from {start}"


Dimension = Annotated[Range | Choice, Field(discriminator="kind")]
Space = dict[str, Dimension]


def overlap(one: str, other: str) -> bool:
    """Return whether two dotted keys are equal or one contains the other (`optimizer.betas`, `optimizer.betas.0`)."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def trial_config(base: RunConfig, settings: Mapping[str, Any], epochs: int, seed: int) -> RunConfig:
    """Return the config of a run: `base` with these settings by dotted key, epochs and seed."""
    return with_settings(base, {**settings, "epochs": epochs, "seed": seed})
