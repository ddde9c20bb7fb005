"""What the command line says where the packages below only say what is to be done: its own flags and commands."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from typer.core import TyperOption

if TYPE_CHECKING:
    from harness.cut_off import CutOff


def with_flags(text: str, flags: Mapping[str, str]) -> str:
    """Return `text` with each parameter that it names in backticks as its flag, of those in `flags`."""
    return re.sub(r"`(\w+)`", lambda found: flags.get(found[1], found[0]), text)


def flags_of(parameters: Iterable[object]) -> dict[str, str]:
    """Return the flags of the options among a command's parameters, by the name that each has in the code."""
    return {str(each.name): each.opts[0] for each in parameters if isinstance(each, TyperOption)}


def command_of(recorded: str | None, experiment: str) -> str:
    """Return what goes on with a sweep of that experiment: the recorded command, or that of a sweep of before."""
    return recorded or f"harness sweep {experiment}"


def next_step(cut_off: "CutOff") -> str:
    """Return what ends a run that was cut off, with the commands for it."""
    delete = f"`mlflow runs delete --run-id {cut_off.run_id}` closes it"
    if cut_off.goes_on is None:
        return delete
    if cut_off.goes_on == "run":
        command = f"harness run --resume {cut_off.run_id}"
    else:
        command = command_of(cut_off.command, cut_off.experiment)
    return f"`{command}` goes on with it, or {delete}"
