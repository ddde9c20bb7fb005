"""What a command says of a declared sweep in place of its file: budget, finals, margin, device, deadline."""

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from harness.errors import BadInputError

if TYPE_CHECKING:
    from studies.definition import SweepDefinition

SECONDS = {"s": 1, "m": 60, "h": 3600}
UNTIL_LOOKS = (1, 2, 4)  # of `--until`: times the declared number of replicates, or `UNTIL_FINALS`
UNTIL_FINALS = 8


@dataclass(frozen=True)
class Adjustments:
    """What decides what a sweep does, as the command says it; None and False where it says nothing."""

    trials: int | None = None
    seeds: int | None = None
    replicates: int | None = None
    margin: float | None = None
    until: float | None = None
    sampler: str | None = None
    no_pruning: bool = False
    asynchronous: bool = False
    device: str | None = None
    fast: bool = False

    @property
    def words(self) -> list[str]:
        """The options that say it again."""
        said = {OPTIONS.get(each.name, each.name): getattr(self, each.name) for each in fields(self)}
        said = {name: value for name, value in said.items() if value is not None and value is not False}
        return [
            word for name, value in said.items() for word in (f"--{name}", *([] if value is True else [str(value)]))
        ]


OPTIONS = {"no_pruning": "no-pruning", "asynchronous": "async"}


def adjusted(definition: "SweepDefinition", said: Adjustments) -> "SweepDefinition":
    """Return the declared definition with what the command says instead.

    Raises:
        BadInputError: what results is refused.
    """
    from harness.config import validated, with_settings
    from studies.definition import SweepDefinition

    values: dict[str, Any] = {
        "budget": None if said.trials is None else said.trials * definition.trial_epochs,
        "final_seeds": None
        if said.seeds is None
        else _seeds(definition.final_seeds, said.seeds, definition.base.seed),
        "replicates": said.replicates,
        "margin": said.until if said.until is not None else said.margin,
        "sampler": said.sampler,
        "pruning": False if said.no_pruning else None,
        "asynchronous": said.asynchronous or None,
    }
    values = {key: value for key, value in values.items() if value is not None}
    if said.fast or said.device is not None:
        from harness.training.devices import fast_settings, resolve_device

        device = definition.base.device if said.device is None else resolve_device(said.device)
        values["base"] = with_settings(
            definition.base, {"device": device} | (fast_settings(device) if said.fast else {})
        )
    values |= _looks(definition, values, said.until is not None)
    return validated(SweepDefinition, definition.model_dump() | values)


def _seeds(declared: tuple[int, ...], count: int, tuning: int) -> tuple[int, ...]:
    """Return so many of the declared seeds, and those after them."""
    more = (seed for seed in range(max(declared) + 1, max(declared) + count + 2) if seed != tuning)
    return (*declared, *more)[:count]


def _looks(definition: "SweepDefinition", values: dict[str, Any], until: bool) -> dict[str, Any]:
    """Return at which numbers verdicts are taken, where the number of finals or replicates is another."""
    replicates = values.get("replicates", definition.replicates)
    seeds = values.get("final_seeds", definition.final_seeds)
    if until and replicates > 1:
        looks = tuple(times * replicates for times in UNTIL_LOOKS)
        return {"looks": looks, "replicates": looks[-1]}
    if until:
        looks = tuple(times * UNTIL_FINALS for times in UNTIL_LOOKS)
        return {"looks": looks, "final_seeds": _seeds(seeds, looks[-1], definition.base.seed)}
    most = replicates if replicates > 1 else len(seeds)
    if most == definition.looks_at[-1] or definition.looks is None:
        return {}
    return {"looks": tuple(sorted({*(look for look in definition.looks if look < most), most}))}


def seconds_of(text: str) -> float:
    """Return a duration such as 90s, 10m or 1.5h in seconds.

    Raises:
        BadInputError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or not float(found[1]):
        raise BadInputError("for", text, expected="a duration such as 90s, 10m or 1.5h")
    return float(found[1]) * SECONDS[found[2]]
