"""Define the base class of every config, and the ranges of numbers that several fields share."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

Model = TypeVar("Model", bound=BaseModel)
LearningRate = Annotated[float, Field(gt=0, le=1e6)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, le=1e6)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
SEEDS = 2**64  # how many seeds torch's generators take, from 0
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]


class FrozenModel(BaseModel):
    """Hold values that can't change; unknown keys, nan and infinity are errors.

    `added_later` names the fields that were added after values of the class had been stored. Each has a default. A
    field that equals its default is left out of the canonical text, so that older configs keep their text and hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    added_later: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _has_numbers_where_they_belong(cls, values: Any) -> Any:  # noqa: ANN401
        if not isinstance(values, Mapping):
            return values
        kinds = {name: cls.model_fields[name].annotation for name in values if name in cls.model_fields}
        return {name: _number(kinds[name], each) if name in kinds else each for name, each in values.items()}


def _number(kind: Any, value: Any) -> Any:  # noqa: ANN401
    """Return a truth value as text if the field is a number, so that it is refused: Python would take True for 1."""
    if isinstance(value, bool) and kind in (int, float):
        return str(value)
    if isinstance(value, list | tuple) and get_origin(kind) is tuple:
        bare = {get_args(each)[0] if get_origin(each) is Annotated else each for each in get_args(kind)}
        return [_number(float, each) for each in value] if bare <= {int, float, Ellipsis} else value
    return value
