"""Apply the options of a command or a Python call to a declared sweep: settings, spaces, budget, finals, device."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from harness.errors import BadInputError

if TYPE_CHECKING:
    from harness.config import RunConfig
    from studies.definition import SweepDefinition
    from studies.space import Dimension, Space

SECONDS = {"s": 1, "m": 60, "h": 3600}
UNTIL_LOOKS = (1, 2, 4)  # looks of `--until`, as multiples of the declared replicates, or of `UNTIL_FINALS`
UNTIL_FINALS = 8
OPTIMIZER = "optimizer."


@dataclass(frozen=True)
class Adjustments:
    """Hold a caller's changes to a declared sweep; a field that is empty, None or False changes nothing.

    `experiments.parameters` describes each field.
    """

    optimizers: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, "Dimension"] = field(default_factory=dict)
    epochs: int | None = None
    budget: int | None = None
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
    name: str | None = None

    @property
    def words(self) -> list[str]:
        """Return the command-line options that make these changes."""
        from studies.notation import written

        words = ["--optimizers", ",".join(self.optimizers)] if self.optimizers else []
        for key, value in self.settings.items():
            words += ["--set", f"{key}={json.dumps(value)}"]
        for key, dimension in self.search.items():
            words += ["--search", f"{key}={written(dimension)}"]
        said = {OPTIONS.get(each.name, each.name): getattr(self, each.name) for each in fields(self)}
        written_above = ("optimizers", "settings", "search")
        said = {
            name: value
            for name, value in said.items()
            if name not in written_above and value is not None and value is not False
        }
        return words + [
            word for name, value in said.items() for word in (f"--{name}", *([] if value is True else [str(value)]))
        ]


OPTIONS = {"no_pruning": "no-pruning", "asynchronous": "async"}


def redeclared(definition: "SweepDefinition", said: Adjustments) -> "SweepDefinition":
    """Return the declared definition with the caller's optimizers, settings, spaces and epochs.

    A field that is set is not searched, and a field that is searched is not set. An optimizer that the declared sweep
    lacks gets its default space.

    Raises:
        BadInputError: a field is both set and searched, or the resulting definition is invalid.
    """
    from experiments.spaces import with_default_spaces
    from harness.config import validated, with_settings
    from studies.definition import SweepDefinition

    if not (said.optimizers or said.settings or said.search or said.epochs):
        return definition
    if both := said.settings.keys() & said.search.keys():
        raise BadInputError(
            "search",
            min(both),
            "is also set to a value",
            expected="a key that is either searched or set",
            next_step="remove one of the two",
        )
    if "epochs" in said.settings:
        raise BadInputError(
            "epochs",
            said.settings["epochs"],
            "is set for every run, but trials and finals have epochs of their own",
            expected="`epochs`, which sets both",
            next_step="remove the setting",
        )
    values: dict[str, Any] = {name: getattr(definition, name) for name in SweepDefinition.model_fields}
    names = said.optimizers or definition.optimizers
    of_optimizers = {key: value for key, value in said.settings.items() if key.startswith(OPTIMIZER)}
    of_all = {key: value for key, value in said.settings.items() if key not in of_optimizers}
    values["optimizers"] = names
    values["base"] = with_settings(definition.base, of_all | _long_enough(of_all, definition.base, said.epochs))
    values["variants"] = {
        name: definition.settings(name) | of_optimizers
        for name in names
        if name in definition.variants or of_optimizers
    }
    values["spaces"] = {name: space for name, space in definition.spaces.items() if name in names}
    values = with_default_spaces(values)
    gone = [*said.settings, *said.search]
    space = _on_another_base(values["space"], definition.base, values["base"])
    values["space"] = _without(space, gone) | _searched(said, of_optimizers=False)
    values["spaces"] = {
        name: _without(space, gone) | _searched(said, of_optimizers=True) for name, space in values["spaces"].items()
    }
    if said.epochs is not None:
        values |= {"trial_epochs": said.epochs, "final_epochs": said.epochs}
        values["budget"] = definition.trials * said.epochs
    return validated(SweepDefinition, values)


def name_of(title: str, declared: "SweepDefinition", now: "SweepDefinition", said: Adjustments) -> str:
    """Return the caller's name for the sweep; without one, the title, with a hash if options changed the definition.

    The same options thus resume the same sweep, and different options start another sweep.
    """
    from harness.config import config_hash

    return said.name or (title if now == declared else f"{title}-{config_hash(now)[:6]}")


def adjusted(definition: "SweepDefinition", said: Adjustments) -> "SweepDefinition":
    """Return the definition with the caller's budget, finals, replicates, margin, sampler and device.

    Raises:
        BadInputError: both `budget` and `trials` are given, or the resulting definition is invalid.
    """
    from harness.config import validated
    from studies.definition import SweepDefinition

    if said.budget is not None and said.trials is not None:
        raise BadInputError(
            "budget",
            said.budget,
            "is given together with `trials`",
            expected="one of the two",
            next_step="remove one",
        )
    values: dict[str, Any] = {
        "budget": said.budget if said.trials is None else said.trials * definition.trial_epochs,
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
    values["base"] = on_its_device(definition.base, said.device, said.fast, said.settings)
    values |= _looks(definition, values, said.until is not None)
    return validated(SweepDefinition, definition.model_dump() | values)


def on_its_device(config: "RunConfig", device: str | None, fast: bool, settings: Collection[str]) -> "RunConfig":
    """Return the config on `device` (None: the config's own), with the device's fast settings if `fast`.

    The fast settings do not replace a value whose key is in `settings`.

    Raises:
        BadInputError: the device is not available on this machine.
    """
    if device is None and not fast:
        return config
    from harness.config import with_settings
    from harness.training.devices import fast_settings, resolve_device

    resolved = config.device if device is None else resolve_device(device)
    profile = fast_settings(resolved) if fast else {}
    return with_settings(
        config, {"device": resolved} | {key: each for key, each in profile.items() if key not in settings}
    )


def _long_enough(settings: Mapping[str, Any], base: "RunConfig", epochs: int | None) -> dict[str, Any]:
    """Return the setting of the base's epochs, which decide no run, if its own are too few for a longer warm-up."""
    warm_up = settings.get("schedule.warm_up_epochs")
    too_few = epochs is not None and isinstance(warm_up, int | float) and warm_up > base.epochs
    return {"epochs": epochs} if too_few else {}


def _without(space: "Space", keys: list[str]) -> "Space":
    """Return the space without the dimensions that overlap one of the keys."""
    from studies.space import overlap

    return {key: each for key, each in space.items() if not any(overlap(key, other) for other in keys)}


def _on_another_base(space: "Space", before: "RunConfig", now: "RunConfig") -> "Space":
    """Return the space with the default dimensions of the new base instead of those of the base before.

    If the model changed, its other dimensions are removed too.
    """
    from experiments.spaces import shared_space

    old, new = shared_space(before), shared_space(now)
    kept = {key: each for key, each in space.items() if old.get(key) != each or new.get(key) == each}
    if before.model.name != now.model.name:
        kept = _without(kept, ["model"])
    replaced = {key.partition(".")[0] for key in space.keys() - kept.keys()}
    return kept | {key: each for key, each in new.items() if key.partition(".")[0] in replaced}


def _searched(said: Adjustments, *, of_optimizers: bool) -> "Space":
    """Return the caller's dimensions whose keys begin with `optimizer.`, or all other dimensions."""
    return {key: each for key, each in said.search.items() if key.startswith(OPTIMIZER) == of_optimizers}


def _seeds(declared: tuple[int, ...], count: int, tuning: int) -> tuple[int, ...]:
    """Return `count` seeds: first the declared seeds, then the next larger numbers, without the tuning seed."""
    more = (seed for seed in range(max(declared) + 1, max(declared) + count + 2) if seed != tuning)
    return (*declared, *more)[:count]


def _looks(definition: "SweepDefinition", values: dict[str, Any], until: bool) -> dict[str, Any]:
    """Return the fields to change so that the looks match the number of finals or replicates; empty if they match.

    A look is a number of finals or replicates at which verdicts are computed.
    """
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
    """Return the seconds of a duration such as `90s`, `10m` or `1.5h`.

    Raises:
        BadInputError: the text is not a duration above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or not float(found[1]):
        raise BadInputError("for", text, expected="a duration such as 90s, 10m or 1.5h")
    return float(found[1]) * SECONDS[found[2]]
