"""Find what weakens a sweep's finals: a class that is as frequent as they are right, equal seeds, failed runs."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import networkx as nx
import pandas as pd

from harness.records import Mistakes
from reports.tables import most_common


class Majority(NamedTuple):
    """The most frequent class of the test set, and its share (fraction): the accuracy of always predicting it."""

    name: str
    share: float


class EqualFinals(NamedTuple):
    """Optimizers whose finals are equal on `seeds` seeds; or one optimizer whose finals are equal to each other."""

    optimizers: tuple[str, ...]
    seeds: int


@dataclass(frozen=True)
class Caveats:
    """The findings that weaken the finals of one sweep or single run.

    `majority` is None if no final recorded its mistakes. `trial_cause` is the most frequent cause of failed trials,
    `final_cause` that of failed or diverged finals; empty if there are none, or the cause was not recorded.
    """

    majority: Majority | None = None
    equal: tuple[EqualFinals, ...] = ()
    trial_cause: str = ""
    final_cause: str = ""


def caveats(runs: pd.DataFrame, mistakes: Mapping[str, Mistakes], optimizers: Sequence[str]) -> Caveats:
    """Return the caveats of the runs in the frame; `mistakes` are those of finals, by run id."""
    finals = runs[runs["stage"] == "final"]
    return Caveats(
        _majority(mistakes),
        tuple(_equal_finals(runs, optimizers)),
        most_common(runs.loc[(runs["stage"] == "trial") & (runs["outcome"] == "failed"), "cause"]),
        most_common(finals.loc[finals["outcome"].isin(["diverged", "failed"]), "cause"]),
    )


def _majority(mistakes: Mapping[str, Mistakes]) -> Majority | None:
    """Return the majority class of the test set that the finals were measured on; None without mistakes."""
    if not mistakes:
        return None
    of_one = next(iter(mistakes.values()))
    images = [sum(row) for row in of_one.confusion]
    return Majority(of_one.class_names[images.index(max(images))], max(images) / sum(images))


def _equal_finals(runs: pd.DataFrame, optimizers: Sequence[str]) -> list[EqualFinals]:
    """Return groups of completed finals with equal accuracies and losses: within an optimizer, then between several.

    A group needs two or more seeds.
    """
    finals = runs[(runs["stage"] == "final") & (runs["outcome"] == "completed") & runs["test_loss"].notna()]
    measured = {
        name: {
            str(row["seed"]): (row["test_accuracy"], row["test_loss"])
            for row in finals[finals["optimizer"] == name].to_dict("records")
        }
        for name in optimizers
    }
    alone = [
        EqualFinals((name,), len(of_seeds))
        for name, of_seeds in measured.items()
        if len(of_seeds) > 1 and len(set(of_seeds.values())) == 1
    ]
    alike: nx.Graph[str] = nx.Graph()
    for one, other in itertools.combinations(measured, 2):
        shared = measured[one].keys() & measured[other].keys()
        if len(shared) > 1 and all(measured[one][seed] == measured[other][seed] for seed in shared):
            alike.add_edge(one, other, seeds=len(shared))
    together = [
        EqualFinals(
            tuple(name for name in optimizers if name in group),
            min(seeds for _, _, seeds in alike.edges(group, data="seeds")),
        )
        for group in nx.connected_components(alike)
    ]
    return alone + together
