"""Save a sweep's definition as a TOML file, which a user can keep, edit and run again."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import BadInputError

if TYPE_CHECKING:
    from experiments.catalog import SweepExperiment
    from harness.config import FrozenModel
    from studies.definition import SweepDefinition
    from studies.space import Space

SUFFIX = ".toml"


def save_sweep(path: Path, declared: "SweepExperiment", definition: "SweepDefinition") -> None:
    """Write the definition as the TOML file of a declared sweep, with the description and resources of `declared`.

    Raises:
        BadInputError: the file already exists, its name does not end with .toml, or it can't be written.
    """
    import tomli_w

    if path.suffix != SUFFIX:
        raise BadInputError("save", str(path), expected=f"a file whose name ends with {SUFFIX}")
    values = {
        "kind": "sweep",
        "shows": declared.shows,
        "cost": f"{definition.total_epochs} epochs at most",
        "result": "not measured yet",
        "sweep": declaration(definition),
    }
    if declared.resources:
        values["resources"] = declared.resources.model_dump()
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(tomli_w.dumps(values))
    except FileExistsError:
        raise BadInputError("save", str(path), "already exists", next_step="choose another name") from None
    except OSError as error:
        raise BadInputError("save", str(path), f"can't be written ({error.strerror})") from None


def declaration(definition: "SweepDefinition") -> dict[str, Any]:
    """Return the definition as the values of a `[sweep]` table, without the fields that equal their defaults."""
    from harness.config import RunConfig

    values = _without_defaults(definition)
    values["base"] = {
        key: value
        for key, value in definition.base.model_dump(mode="json", exclude_none=True).items()
        if getattr(definition.base, key) != getattr(RunConfig(), key)
    }
    values["space"] = _space(definition.space)
    values["spaces"] = {name: _space(space) for name, space in definition.spaces.items()}
    return values


def _space(space: "Space") -> dict[str, Any]:
    return {key: {"kind": each.kind} | _without_defaults(each) for key, each in space.items()}


def _without_defaults(value: "FrozenModel") -> dict[str, Any]:
    """Return the fields that differ from their defaults, as plain values."""
    return value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
