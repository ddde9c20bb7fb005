"""The declared experiments by name: each TOML file of this package, parsed into its typed definition."""

import tomllib
from importlib.resources import files
from typing import Any, Literal

from pydantic import ValidationError

from harness.config import FrozenModel, RunConfig
from harness.errors import BadInputError, unknown


class RunExperiment(FrozenModel):
    """A declared single run."""

    kind: Literal["run"]
    shows: str
    cost: str
    config: RunConfig


Experiment = RunExperiment


def names() -> list[str]:
    """The declared experiments, in alphabetical order."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in files("experiments").iterdir() if entry.name.endswith(".toml")
    )


def load(name: str) -> Experiment:
    """The definition of that name.

    Raises:
        BadInputError: no such experiment, or a field of it is wrong.
    """
    if name not in names():
        raise unknown("experiment", name, names(), "`harness list` shows them")
    text = (files("experiments") / f"{name}.toml").read_text(encoding="utf-8")
    return parse(name, tomllib.loads(text))


def parse(name: str, values: dict[str, Any]) -> Experiment:
    """A definition from the values of its TOML file."""
    try:
        return RunExperiment.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        raise BadInputError(
            f"experiment {name!r}: {'.'.join(map(str, problem['loc']))} {problem['input']!r}: {problem['msg']}; "
            "correct its TOML file"
        ) from None
