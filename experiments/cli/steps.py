"""Name the command line's flags and commands in messages of the lower packages, which know only parameters."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from typer.core import TyperOption

if TYPE_CHECKING:
    from harness.cut_off import CutOff


def with_flags(text: str, flags: Mapping[str, str]) -> str:
    """Return `text` with each parameter in backticks replaced by its flag; parameters not in `flags` stay."""
    return re.sub(r"`(\w+)`", lambda found: flags.get(found[1], found[0]), text)


def flags_of(parameters: Iterable[object]) -> dict[str, str]:
    """Return the flags of a command's options, by the parameter's name in the code."""
    return {str(each.name): each.opts[0] for each in parameters if isinstance(each, TyperOption)}


def command_of(recorded: str | None, experiment: str) -> str:
    """Return the command that resumes a sweep: the recorded one or, for sweeps of older versions, the plain one."""
    return recorded or f"harness sweep {experiment}"


def next_step(cut_off: "CutOff") -> str:
    """Return in words which commands resume or close a run that was cut off."""
    delete = f"`mlflow runs delete --run-id {cut_off.run_id}` closes it"
    if cut_off.goes_on is None:
        return delete
    if cut_off.goes_on == "run":
        command = f"harness run --resume {cut_off.run_id}"
    else:
        command = command_of(cut_off.command, cut_off.experiment)
    return f"`{command}` resumes it, or {delete}"
