"""Which experiments are declared, and what each says of itself, from their TOML files alone.

Nothing is checked and no config is made: that takes the greater part of a second, which a list need not wait for.
"""

import tomllib
from importlib.resources import files
from typing import Any, NamedTuple

from harness.errors import BadInputError


class Description(NamedTuple):
    """What a declared experiment says of itself."""

    kind: str
    shows: str
    cost: str
    result: str


def names() -> list[str]:
    """The declared experiments, in alphabetical order."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in files("experiments").iterdir() if entry.name.endswith(".toml")
    )


def read(name: str) -> dict[str, Any]:
    """Return the values of the TOML file of that name, which is one of `names`.

    Raises:
        BadInputError: it is no TOML.
    """
    text = (files("experiments") / f"{name}.toml").read_text(encoding="utf-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(
            "experiment", name, f"can't be read ({error})", expected="TOML", next_step="correct its file"
        ) from None


def describe(name: str) -> Description:
    """Return what that experiment says of itself."""
    values = read(name)
    return Description(*(str(values.get(field, "")) for field in Description._fields))
