"""What is wrong with values that were to be a config, in one line: field, value, what is expected."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.config.base import FrozenModel, Model
from harness.config.datasets import DatasetConfig
from harness.config.networks import ModelConfig
from harness.config.optimizers import OPTIMIZER_CONFIGS
from harness.config.run import NAMED
from harness.config.schedules import SCHEDULES
from harness.errors import BadInputError, did_you_mean

NEXT_STEP = "; correct the value and run again"
# how pydantic calls the kinds in the location of an error
TAGS: dict[str, type[FrozenModel] | None] = {
    "torchvision": DatasetConfig,
    "chapter": ModelConfig,
    "torch": None,
    "own": None,
    **OPTIMIZER_CONFIGS,
    **SCHEDULES,
}


def validated(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """`values` as a `kind`, or one line naming the field, the value and what is allowed."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise BadInputError(one_line(kind, error)) from None


def one_line(kind: type[BaseModel], error: ValidationError) -> str:
    """What is wrong with values that were to be a `kind`: field, value, what is allowed."""
    problems = []
    for problem in error.errors(include_url=False):
        # a discriminated union puts its tag into the location: optimizer.adam.lr
        location = [str(part) for part in problem["loc"]]
        key = ".".join(_without_tags(location))
        message = problem["msg"].removeprefix("Value error, ").removesuffix(NEXT_STEP)
        if problem["type"] == "extra_forbidden":
            allowed = _allowed_keys(kind, location)
            hint = did_you_mean(location[-1], allowed)
            problems.append(f"{key}: unknown key" + (f"; {hint}allowed: {', '.join(allowed)}" if allowed else ""))
        elif problem["type"] == "literal_error":
            allowed = re.findall("'([^']*)'", problem["ctx"]["expected"])
            hint = did_you_mean(str(problem["input"]), allowed)
            problems.append(f"{key} {problem['input']!r}: {hint}allowed: {', '.join(allowed)}")
        elif problem["type"] == "value_error":  # from a validator of ours, whose message names what is wrong
            problems.append(message)
        elif problem["type"] == "missing":
            problems.append(f"{key}: missing; a value is required")
        else:
            problems.append(f"{key} {problem['input']!r}: {message[0].lower()}{message[1:]}")
    return "; ".join(problems) + NEXT_STEP


def _without_tags(location: list[str]) -> list[str]:
    """A path without what says which of several kinds of config a value was read as."""
    key: list[str] = []
    in_tags = False
    for part in location:
        if not (in_tags and part in TAGS):
            key.append(part)
        in_tags = part in NAMED or (in_tags and part in TAGS)
    return key


def _allowed_keys(kind: type[BaseModel], location: list[str]) -> list[str]:
    """The keys beside an unknown one, where the path to it leads through models alone."""
    for part in location[:-1]:
        field = kind.model_fields.get(part)
        if part in TAGS:
            kind = TAGS[part] or kind
        elif field is None:
            return []
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            kind = field.annotation
    return list(kind.model_fields)
