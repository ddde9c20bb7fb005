"""Make a config from plain values, or from another config with some dotted keys replaced."""

import re
from collections.abc import Mapping
from typing import Any

from harness.config.arguments import defaults
from harness.config.messages import validated
from harness.config.registry import DATASETS
from harness.config.run import NAMED, OWN, RunConfig, flatten, leaves
from harness.errors import unknown

NOTHING = object()  # what is found under a key that does not exist


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """Return the config of nested plain values.

    Raises:
        BadInputError: a field is unknown or out of range; the message names it.
    """
    for part in NAMED:
        value = values.get(part)
        if isinstance(value, Mapping) and "name" in value:
            _require_known(part, value["name"])
    return validated(RunConfig, values)


def with_settings(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """Return the config with dotted keys replaced.

    A new `optimizer.name` starts from the new optimizer's own defaults, and so do a new schedule, model or dataset. A
    new dataset of the registry keeps the seed of the split. It keeps the sizes too, unless they are the old dataset's
    default sizes or the new dataset has fewer images. If the config trained on all images of the old dataset, it
    trains on all images of the new one.

    Raises:
        BadInputError: a key is unknown, or its value is invalid.
    """
    values = config.model_dump()
    for part in NAMED:
        name = settings.get(f"{part}.name")
        if name is not None:
            _require_known(part, name)
            if name != values[part].get("name"):
                values[part] = _defaults(part, str(name), values[part], settings)
    for key, value in settings.items():
        part, _, leaf = key.partition(".")
        own = "." not in leaf and ":" in str(_found(values, f"{part}.name"))  # its keys are checked by its signature
        if not own and _found(values, key) is NOTHING:
            raise unknown("setting", key, leaves("", values), "correct the key")
        _set_leaf(values, key, value)
    return parse_config(values)


def _require_known(part: str, name: object) -> None:
    ours = list(NAMED[part])  # a list, because `name` may not be hashable
    if name not in ours and not (part in OWN and ":" in str(name)):
        own = ", or write 'module:name' for your own" if part in OWN else ""
        raise unknown(part, str(name), ours, f"choose one of these{own}")


def _defaults(part: str, name: str, before: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    kind = NAMED[part].get(name)
    if kind is not None:
        kept = _split(before, name, settings) if part == "dataset" else {}
        return kind.model_validate({"name": name}).model_dump() | kept
    return {"name": name} | (defaults(name, OWN[part].first_argument) if part in OWN and ":" in name else {})


def _split(before: Mapping[str, Any], name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the split that a new dataset of the registry takes over from the old one."""
    old, new = DATASETS.get(before["name"]), DATASETS[name]
    if old is None:
        return {}
    kept = {"split_seed": before["split_seed"]}
    train, validation = (settings.get(f"dataset.{key}", before[key]) for key in ("train_size", "validation_size"))
    if not isinstance(train, int) or not isinstance(validation, int):  # the new config refuses it by name
        return kept
    if (train, validation) == (old.training_images, 0):
        return kept | {"train_size": new.training_images, "validation_size": 0}
    if (train, validation) == (old.train_size, old.validation_size) or train + validation > new.training_images:
        return kept
    return kept | {"train_size": train, "validation_size": validation}


def _found(values: Any, key: str) -> Any:  # noqa: ANN401
    """Return the value under a dotted key of nested values; NOTHING if there is none."""
    for name in key.split("."):
        if isinstance(values, Mapping) and name in values:
            values = values[name]
        elif isinstance(values, list | tuple) and name.isdecimal() and int(name) < len(values):
            values = values[int(name)]
        else:
            return NOTHING
    return values


def _set_leaf(values: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401
    """Replace the value under a dotted key of nested values."""
    *parents, leaf = key.split(".")
    target: Any = values
    for parent in parents:
        if isinstance(target[parent], tuple):
            target[parent] = list(target[parent])
        target = target[parent]
    target[int(leaf) if isinstance(target, list) else leaf] = value


def config_keys() -> list[str]:
    """Return the dotted keys that `with_settings` accepts: of all optimizers and schedules, without own parts."""
    kinds = [(part, kind) for part, of_part in NAMED.items() for kind in of_part.values()]
    found = [*flatten(RunConfig()), *(key for part, kind in kinds for key in leaves(part, kind().model_dump()))]
    return list(dict.fromkeys(re.sub(r"\.\d+$", "", key) for key in found))
