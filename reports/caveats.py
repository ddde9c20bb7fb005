"""What speaks against a sweep's finals: a majority as good as they are, seeds without effect, runs that failed."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import networkx as nx
import pandas as pd

from harness.records import Mistakes
from reports.tables import most_common


class Majority(NamedTuple):
    """The most frequent class of the test set, and its share (fraction): what always saying it would get right."""

    name: str
    share: float


class EqualFinals(NamedTuple):
    """Optimizers whose finals are equal to the last digit, seed by seed on so many; of one: across them."""

    optimizers: tuple[str, ...]
    seeds: int


@dataclass(frozen=True)
class Caveats:
    """What speaks against the finals of one sweep or single run.

    `majority` is None where no final has its mistakes. `trial_cause` and `final_cause`: why most of the trials that
    failed did, and of the finals that failed or diverged; empty where none did, or it was not recorded.
    """

    majority: Majority | None = None
    equal: tuple[EqualFinals, ...] = ()
    trial_cause: str = ""
    final_cause: str = ""


def caveats(runs: pd.DataFrame, mistakes: Mapping[str, Mistakes], optimizers: Sequence[str]) -> Caveats:
    """Find them in the frame of runs, and in the mistakes of finals by run id."""
    finals = runs[runs["stage"] == "final"]
    return Caveats(
        _majority(mistakes),
        tuple(_equal_finals(runs, optimizers)),
        most_common(runs.loc[(runs["stage"] == "trial") & (runs["outcome"] == "failed"), "cause"]),
        most_common(finals.loc[finals["outcome"].isin(["diverged", "failed"]), "cause"]),
    )


def _majority(mistakes: Mapping[str, Mistakes]) -> Majority | None:
    """Return the majority of the test set that these finals were measured on; None where none has its mistakes."""
    if not mistakes:
        return None
    of_one = next(iter(mistakes.values()))
    images = [sum(row) for row in of_one.confusion]
    return Majority(of_one.class_names[images.index(max(images))], max(images) / sum(images))


def _equal_finals(runs: pd.DataFrame, optimizers: Sequence[str]) -> list[EqualFinals]:
    """Completed finals on two or more seeds with equal accuracies and losses: of one optimizer, then of several."""
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
