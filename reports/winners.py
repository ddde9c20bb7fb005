"""Find the trial that validation selects, by optimizer and replicate, and the finals of earlier winners."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.config import RunConfig, config_hash, flatten
from harness.records import Outcome, Stage, Tag
from harness.tracking.tracker import TrackedRun
from reports.edges import Edge, edges
from studies.definition import SweepDefinition
from studies.replicates import confirming_seeds, is_published_start, of_replicate, winner_of

ENDED = [Outcome.COMPLETED, Outcome.DIVERGED, Outcome.FAILED]
ConfigOf = Callable[[str], RunConfig | None]


@dataclass(frozen=True)
class Winner:
    """The best trial of an optimizer in a replicate (counted from 1), by validation accuracy.

    `validation_accuracy` is a fraction, the mean over the trial's seeds. `number` is the trial's number. `values` are
    the searched values by config key, and `edges` those at an end of their range. If the config was not recorded,
    `config` is None and both are empty. `is_start` says whether the trial is the published start.
    """

    optimizer: str
    replicate: int
    number: int
    run_id: str
    validation_accuracy: float
    config: RunConfig | None
    values: Mapping[str, Any]
    edges: tuple[Edge, ...]
    is_start: bool

    @property
    def edges_in_words(self) -> str:
        """Return the edges in words; empty if no value is at the edge of its range."""
        return "; ".join(map(str, self.edges))


Winners = Mapping[str, tuple[Winner, ...]]  # by optimizer, the winners of its replicates in order


def best_winner(winners: Sequence[Winner]) -> Winner:
    """Return the winner with the best validation accuracy of several replicates, the first of equals."""
    return max(winners, key=lambda each: each.validation_accuracy)


def find_winners(
    runs: pd.DataFrame, definition: SweepDefinition, config_of: ConfigOf
) -> dict[str, tuple[Winner, ...]]:
    """Return the winners by optimizer, without optimizers that have none. `config_of` returns a config by run id."""
    found = {
        name: tuple(
            winner
            for number in sorted(set(runs["replicate"]))
            if (winner := _winner(name, number, runs, of_replicate(definition, number - 1), config_of))
        )
        for name in definition.optimizers
    }
    return {name: winners for name, winners in found.items() if winners}


def _winner(
    name: str, replicate: int, runs: pd.DataFrame, definition: SweepDefinition, config_of: ConfigOf
) -> Winner | None:
    mine = runs[(runs["optimizer"] == name) & (runs["replicate"] == replicate)]
    trials = mine[(mine["stage"] == Stage.TRIAL) & (mine["outcome"] == Outcome.COMPLETED)]
    trials = trials[trials["validation_accuracy"].notna()].drop_duplicates("number", keep="last").set_index("number")
    accuracies = {int(str(number)): float(each) for number, each in trials["validation_accuracy"].items()}
    won = winner_of(definition, accuracies, _confirmed(mine, definition))
    if won is None:
        return None
    number, accuracy = won
    run_id, searched = str(trials.loc[number, "run_id"]), definition.searched(name)
    config = config_of(run_id)
    settings = flatten(config) if config else {}
    values = {key: settings[key] for key in searched if key in settings}
    return Winner(
        optimizer=name,
        replicate=replicate,
        number=number,
        run_id=run_id,
        validation_accuracy=accuracy,
        config=config,
        values=values,
        edges=edges(values, searched),
        is_start=is_published_start(definition, name, values),
    )


def _confirmed(mine: pd.DataFrame, definition: SweepDefinition) -> dict[int, list[float]]:
    """Return the accuracies of each trial's confirmations in the order of their seeds; 0 for one that broke off."""
    seeds = [str(seed) for of_round in confirming_seeds(definition) for seed in of_round]
    runs = mine[(mine["stage"] == Stage.CONFIRMATION) & mine["outcome"].isin(ENDED)]
    found: dict[int, list[float]] = {}
    for number, of_trial in runs.groupby("number"):
        by_seed = {row["seed"]: row for row in of_trial.to_dict("records")}
        rows = [by_seed[seed] for seed in seeds if seed in by_seed]
        found[int(str(number))] = [
            float(row["validation_accuracy"]) if row["outcome"] == Outcome.COMPLETED else 0.0 for row in rows
        ]
    return found


def superseded(runs: Sequence[TrackedRun], winners: Winners, definition: SweepDefinition) -> set[str]:
    """Return the ids of finals of earlier winners, which more trials have since replaced."""

    def is_current(final: TrackedRun) -> bool:
        replicate = int(final.tags.get(Tag.REPLICATE, 1))
        of = winners.get(final.tags[Tag.OPTIMIZER], ())
        winner = next((each for each in of if each.replicate == replicate), None)
        if winner is None or winner.config is None:  # a single run, or no config to compare with
            return True
        config = of_replicate(definition, replicate - 1).final_config(winner.config, int(final.tags[Tag.NUMBER]))
        return final.tags.get(Tag.CONFIG_HASH) == config_hash(config)

    return {run.run_id for run in runs if run.tags[Tag.STAGE] == Stage.FINAL and not is_current(run)}


def winners_frame(winners: Winners) -> pd.DataFrame:
    """Return one row per winner.

    Columns: optimizer, replicate, one column per searched config key, validation_accuracy (fraction), is_start
    (whether it is the published start), trial (its number), run_id, edges (in words, empty if no value is at an end
    of its range).
    """
    keys = hyperparameters(winners)
    rows = [
        {
            "optimizer": each.optimizer,
            "replicate": each.replicate,
            **{key: each.values.get(key) for key in keys},
            "validation_accuracy": each.validation_accuracy,
            "is_start": each.is_start,
            "trial": each.number,
            "run_id": each.run_id,
            "edges": each.edges_in_words,
        }
        for of_optimizer in winners.values()
        for each in of_optimizer
    ]
    columns = ["optimizer", "replicate", *keys, "validation_accuracy", "is_start", "trial", "run_id", "edges"]
    # dtype object, so that an integer stays an integer beside missing values
    return pd.DataFrame(rows, columns=columns, dtype=object)


def hyperparameters(winners: Winners) -> list[str]:
    """Return the config keys that were searched for any of these winners."""
    return list(
        dict.fromkeys(key for of_optimizer in winners.values() for each in of_optimizer for key in each.values)
    )
