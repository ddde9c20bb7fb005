"""Plan a run or a sweep: a declared one, with what a person says in place of its file, on a device that is here."""

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
    """A sweep as it will be run. `resources` are those of a slice; `command` resumes it on the command line."""

    name: str
    definition: "SweepDefinition"
    resources: "Resources"
    command: str


def plan_sweep(experiment: str, declared: "SweepExperiment", said: Adjustments, executor: str) -> SweepPlan:
    """Return the plan of a declared sweep with the adjustments.

    Raises:
        BadInputError: what results is refused, or its device is not here.
    """
    from experiments.catalog import title
    from harness.training.devices import resolve_device

    structure = redeclared(declared.sweep, said)
    definition = adjusted(structure, said)
    if executor != "ray":  # whose nodes may have what this machine lacks
        resolve_device(definition.base.device)
    return SweepPlan(
        name=name_of(title(experiment), declared.sweep, structure, said),
        definition=definition,
        resources=declared.slice_resources(definition.base),
        command=shlex.join(["harness", "sweep", experiment, *said.words]),
    )


def plan_run(base: "RunConfig", settings: Mapping[str, Any], device: str, fast: bool) -> "RunConfig":
    """Return a declared run's config with the settings, on `device` unless they name one, faster if `fast`.

    Raises:
        BadInputError: a setting is refused, or the device is not here.
    """
    from harness.config import with_settings

    config = with_settings(base, {"device": "cpu", **settings})
    return on_its_device(config, str(settings.get("device", device)), fast, settings)
