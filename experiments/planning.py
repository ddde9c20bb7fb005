"""Plan a run or a sweep: apply the user's options to a declared experiment, and check its device."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.adjusting import Adjustments, adjusted, name_of, on_its_device, redeclared

if TYPE_CHECKING:
    from experiments.catalog import SweepExperiment
    from harness.config import RunConfig
    from studies.definition import SweepDefinition
    from studies.executors.resources import Resources


@dataclass(frozen=True)
class SweepPlan:
    """Hold a sweep as it will be run. A slice needs `resources`; `command` resumes the sweep on the command line."""

    name: str
    definition: "SweepDefinition"
    resources: "Resources"
    command: str


def plan_sweep(experiment: str, declared: "SweepExperiment", said: Adjustments, executor: str) -> SweepPlan:
    """Return the plan of a declared sweep with the caller's changes.

    Raises:
        BadInputError: the resulting definition is invalid, or this machine does not have one of its devices.
    """
    from experiments.catalog import title
    from harness.training.devices import resolve_device

    structure = redeclared(declared.sweep, said)
    definition = adjusted(structure, said)
    if executor != "ray":  # a node of a Ray cluster may have a device that this machine lacks
        for device in [definition.base.device, *definition.values_of("device")]:
            resolve_device(device)
    return SweepPlan(
        name=name_of(title(experiment), declared.sweep, structure, said),
        definition=definition,
        resources=declared.slice_resources(definition.base),
        command=shlex.join(["harness", "sweep", experiment, *said.words]),
    )


def plan_run(base: "RunConfig", settings: Mapping[str, Any], device: str, fast: bool) -> "RunConfig":
    """Return a declared run's config with the settings, on `device` unless the settings name a device.

    With `fast`, the config also gets the device's fast settings.

    Raises:
        BadInputError: a setting is invalid, or this machine does not have the device.
    """
    from harness.config import with_settings

    config = with_settings(base, {"device": "cpu", **settings})
    return on_its_device(config, str(settings.get("device", device)), fast, settings)
