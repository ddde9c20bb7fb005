"""Validate values as a config, and describe pydantic's errors in one line: field, value, what is expected."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.config.base import FrozenModel, Model
from harness.config.datasets import DatasetConfig
from harness.config.networks import NETWORKS
from harness.config.optimizers import OPTIMIZER_CONFIGS
from harness.config.run import NAMED
from harness.config.schedules import SCHEDULES
from harness.errors import BadInputError, did_you_mean

OWN_KINDS = {"own"}
NEXT_STEP = "correct the value and run again"
# the tags by which pydantic names the class of a union in the location of an error
TAGS: dict[str, type[FrozenModel] | None] = {
    "named": DatasetConfig,
    "torch": None,
    "own": None,
    **NETWORKS,
    **OPTIMIZER_CONFIGS,
    **SCHEDULES,
}


def validated(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """Return the values as a validated `kind`.

    Raises:
        BadInputError: a field is unknown, missing or invalid; the message has field, value and what is expected.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise refused(kind, error) from None


def refused(kind: type[BaseModel], error: ValidationError) -> BadInputError:
    """Return pydantic's error as an error of one line, which names the first invalid field and then the others."""
    first, *others = (_refusal(kind, problem) for problem in error.errors(include_url=False))
    more = {"also": others} if others else {}
    return first.but(next_step=first.next_step or NEXT_STEP, **more)


def _refusal(kind: type[BaseModel], problem: Mapping[str, Any]) -> BadInputError:
    # a discriminated union puts its tag into the location: optimizer.adam.lr
    location = [str(part) for part in problem["loc"]]
    key = ".".join(_without_tags(location)) or kind.__name__
    value = problem["input"]
    context = problem.get("ctx", {})
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(context.get("error"), BadInputError):  # from a validator of ours
        return context["error"]  # type: ignore[no-any-return]
    if problem["type"] == "extra_forbidden":
        return _unknown_key(key, location[-1], _known_keys(kind, location))
    if problem["type"] == "missing":
        return BadInputError(key, problem="is missing", expected="a value")
    if problem["type"] == "literal_error":
        known = re.findall("'([^']*)'", context["expected"])
        return BadInputError(
            key, value, expected=f"one of {', '.join(known)}", next_step=_with_suggestion(str(value), known)
        )
    if problem["type"] == "union_tag_invalid":
        known = [name for name in re.findall("'([^']*)'", context["expected_tags"]) if name not in OWN_KINDS]
        tag = context["tag"]
        return BadInputError(
            f"{key}.name", tag, expected=f"one of {', '.join(known)}", next_step=_with_suggestion(tag, known)
        )
    if problem["type"] == "tuple_type":
        return BadInputError(key, value, expected="a list")
    if expected := re.fullmatch(
        r"\w+ should (?:be|have|match) (.*?)(?:, (?:unable|got) .*| after validation, .*)?", message
    ):
        comparison = re.match("greater|less", expected[1])
        return BadInputError(key, value, expected=f"a number {expected[1]}" if comparison else expected[1])
    return BadInputError(key, value, f"({message[0].lower()}{message[1:]})")


def _unknown_key(key: str, last: str, known: list[str]) -> BadInputError:
    if not known:
        return BadInputError(key, problem="is unknown")
    return BadInputError(
        key, problem="is unknown", expected=f"one of {', '.join(known)}", next_step=_with_suggestion(last, known)
    )


def _with_suggestion(name: str, known: list[str]) -> str:
    """Return the next step with a known name that is similar; empty if none is similar."""
    suggestion = did_you_mean(name, known)
    return f"{suggestion}{NEXT_STEP}" if suggestion else ""


def _without_tags(location: list[str]) -> list[str]:
    """Return the location of an error without the tags of unions."""
    key: list[str] = []
    in_tags = False
    for part in location:
        if not (in_tags and part in TAGS):
            key.append(part)
        in_tags = part in NAMED or (in_tags and part in TAGS)
    return key


def _known_keys(kind: type[BaseModel], location: list[str]) -> list[str]:
    """Return the valid keys beside an unknown key; empty if the path to it does not lead through models only."""
    for part in location[:-1]:
        field = kind.model_fields.get(part)
        if part in TAGS:
            kind = TAGS[part] or kind
        elif field is None:
            return []
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            kind = field.annotation
    return list(kind.model_fields)
