"""Say how to train with a winner's hyperparameters: as a command, and as Python."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.config import RunConfig, flatten
from reports.winners import Winners, best_winner

IMPORTS = "from harness.config import RunConfig, with_settings"
NOT_TO_REPEAT = ("device", "threads")  # set by the machine; they change only the last bits of a result


@dataclass(frozen=True)
class Recipe:
    """The command and the Python code that train with one optimizer's winning hyperparameters."""

    optimizer: str
    command: str
    python: str


def find_recipes(
    runs: pd.DataFrame, settings: Mapping[str, Mapping[str, Any]], optimizers: Sequence[str], winners: Winners
) -> list[Recipe]:
    """Return the recipe of each optimizer's winner (of the best replicate), from the config of its first final."""
    recipes = []
    for name in optimizers:
        finals = runs[(runs["stage"] == "final") & (runs["optimizer"] == name) & runs["run_id"].isin(settings.keys())]
        if name in winners:
            finals = finals[finals["replicate"] == best_winner(winners[name]).replicate]
        if len(finals):
            recipes.append(_recipe(name, settings[finals["run_id"].iloc[0]]))
    return recipes


def _recipe(name: str, config: Mapping[str, Any]) -> Recipe:
    defaults = flatten(RunConfig())
    # these are always written out: the defaults have another split, and each optimizer has its own defaults
    said = {
        key: value
        for key, value in config.items()
        if key not in NOT_TO_REPEAT and (defaults.get(key) != value or key.startswith(("optimizer.", "dataset.")))
    }
    settings = {"optimizer.name": said.pop("optimizer.name", name)} | said
    words = ["harness", "run", "chapter"]
    for key, value in settings.items():
        words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    python = "".join(f'    "{key}": {value!r},\n' for key, value in settings.items())
    return Recipe(
        optimizer=name,
        command=shlex.join(words),
        python=f"{IMPORTS}\n\nconfig = with_settings(RunConfig(), {{\n{python}}})",
    )
