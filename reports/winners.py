"""The trial of each optimizer that validation selected, and which finals are those of an earlier one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.config import RunConfig, config_hash, flatten
from harness.records import Stage, Tag
from harness.tracking.tracker import TrackedRun
from reports.edges import Edge, edges
from studies.definition import SweepDefinition


@dataclass(frozen=True)
class Winner:
    """An optimizer's best trial on validation (fraction).

    `values` are those of what was searched, by config key, and `edges` those of them at an end of their range;
    `config` is None, and both are empty, where it was not recorded.
    """

    optimizer: str
    run_id: str
    validation_accuracy: float
    config: RunConfig | None
    values: Mapping[str, Any]
    edges: tuple[Edge, ...]

    @property
    def edges_in_words(self) -> str:
        """All of them; empty where no value is at the edge of its range."""
        return "; ".join(map(str, self.edges))


def find_winners(
    runs: pd.DataFrame, definition: SweepDefinition, config_of: Callable[[str], RunConfig | None]
) -> dict[str, Winner]:
    """Return the winner of each optimizer that has one. `config_of` gives a run's config by its id."""
    completed = runs[(runs["stage"] == Stage.TRIAL) & (runs["outcome"] == "completed")]
    completed = completed[completed["validation_accuracy"].notna()]
    winners = {}
    for optimizer in definition.optimizers:
        trials = completed[completed["optimizer"] == optimizer].to_dict("records")
        if trials:
            best = max(trials, key=lambda trial: float(trial["validation_accuracy"]))
            config, searched = config_of(best["run_id"]), definition.searched(optimizer)
            settings = flatten(config) if config else {}
            values = {key: settings[key] for key in searched if key in settings}
            winners[optimizer] = Winner(
                optimizer=optimizer,
                run_id=str(best["run_id"]),
                validation_accuracy=float(best["validation_accuracy"]),
                config=config,
                values=values,
                edges=edges(values, searched),
            )
    return winners


def superseded(runs: Sequence[TrackedRun], winners: Mapping[str, Winner], definition: SweepDefinition) -> set[str]:
    """Return the ids of the finals of earlier winners: more trials may have found a better one since."""

    def is_current(final: TrackedRun) -> bool:
        winner = winners.get(final.tags[Tag.OPTIMIZER])
        if winner is None or winner.config is None:  # a run that stands alone, or nothing to tell it by
            return True
        config = definition.final_config(winner.config, int(final.tags[Tag.NUMBER]))
        return final.tags.get(Tag.CONFIG_HASH) == config_hash(config)

    return {run.run_id for run in runs if run.tags[Tag.STAGE] == Stage.FINAL and not is_current(run)}


def winners_frame(winners: Mapping[str, Winner]) -> pd.DataFrame:
    """One row per winner.

    Columns: optimizer, a column per searched config key, validation_accuracy (fraction), run_id, edges (in words,
    empty where no value is at the edge of its range).
    """
    keys = hyperparameters(winners)
    rows = [
        {
            "optimizer": each.optimizer,
            **{key: each.values.get(key) for key in keys},
            "validation_accuracy": each.validation_accuracy,
            "run_id": each.run_id,
            "edges": each.edges_in_words,
        }
        for each in winners.values()
    ]
    # of objects, so that a whole number stays one beside what is missing
    return pd.DataFrame(rows, columns=["optimizer", *keys, "validation_accuracy", "run_id", "edges"], dtype=object)


def hyperparameters(winners: Mapping[str, Winner]) -> list[str]:
    """The config keys that were searched for any of these."""
    return list(dict.fromkeys(key for each in winners.values() for key in each.values))
