"""All that a report says, computed: sentences, tables and figures, each figure as its record."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.config import RunConfig, flatten
from harness.records import Mistakes
from reports.answer import Sanity, answer, sanity
from reports.caveats import caveats
from reports.figures.convergence import convergence
from reports.figures.final_accuracy import final_accuracy
from reports.figures.mistakes import Classes, ConfidentMistakes, classes, confusion
from reports.figures.style import Picture, looks
from reports.figures.time import epoch_seconds, profile, time_to_target
from reports.figures.tuning import Importances, learning_rates, outcomes, slices, tuning_curves
from reports.source import Source
from reports.statistics import median_or_never
from reports.tables import (
    classes_frame,
    differences_frame,
    epochs_frame,
    failures_frame,
    finals_by_seed,
    outcome_of,
    runs_frame,
    summary_frame,
    targets_frame,
    untested_classes,
)
from reports.winners import find_winners, superseded, winners_frame

TARGETS = {"mnist": (0.97, 0.98, 0.985, 0.99), "fashion-mnist": (0.85, 0.88, 0.90, 0.92)}
OTHER_TARGETS = (0.80, 0.90, 0.95, 0.99)  # of a user's own data
IMPORTS = "from harness.config import RunConfig, with_settings"
LEAST_IMAGES = 50_000  # to train on, for the chapter's own result to be comparable
NOT_TO_REPEAT = ("device", "threads")  # of the machine; they change the last bits only


@dataclass(frozen=True)
class Recipe:
    """How to train with a winner's hyperparameters: as a command, and as Python."""

    optimizer: str
    command: str
    python: str


@dataclass(frozen=True)
class Compute:
    """What all runs took together, the finals of earlier winners included."""

    runs: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Contents:
    """Of one sweep or single run. `finals` are test accuracies (fractions) by optimizer and seed, the best first.

    `without_pictures`: the most confident mistakes in words, where they are of rows of features; else empty.
    """

    source: Source
    answer: tuple[str, ...]
    sanity: tuple[Sanity, ...]
    finals: Mapping[str, Mapping[int, float]]
    tables: Mapping[str, pd.DataFrame]
    pictures: Mapping[str, Picture]
    without_pictures: str
    recipes: tuple[Recipe, ...]
    compute: Compute

    @property
    def summary(self) -> pd.DataFrame:
        """The table of optimizers."""
        return self.tables["summary"]


def contents(source: Source) -> Contents:
    """All that can be said of what is tracked."""
    definition = source.definition
    optimizers = list(definition.optimizers)
    dataset = definition.base.dataset
    epochs = epochs_frame(source.runs)
    compute = Compute(len(source.runs), len(epochs), float(epochs[["train_seconds", "evaluate_seconds"]].sum().sum()))
    runs = runs_frame(source.runs, epochs)
    winners = find_winners(runs, definition, source.configs.get)
    replaced = superseded(source.runs, winners, definition)
    runs, epochs = (frame[~frame["run_id"].isin(replaced)] for frame in (runs, epochs))
    settings = {run_id: flatten(config) for run_id, config in source.configs.items()}
    finals = finals_by_seed(runs, optimizers)
    summary = summary_frame(runs, winners, optimizers)
    quiet = summary[summary["train_seconds"].notna()]
    seconds = dict(zip(quiet["optimizer"], quiet["train_seconds"], strict=True))
    mistakes = _by_optimizer(source.mistakes, runs, summary["optimizer"].tolist())
    targets = TARGETS.get(dataset.name, OTHER_TARGETS)
    tables = {
        "summary": summary,
        "winners": winners_frame(winners),
        "differences": differences_frame(finals),
        "targets": targets_frame(runs, epochs, seconds, summary["optimizer"].tolist(), targets),
        "classes": classes_frame({name: list(of_seeds.values()) for name, of_seeds in mistakes.items()}),
        "failures": failures_frame(runs),
        "runs": runs,
        "epochs": epochs,
    }
    against = caveats(runs, source.mistakes, optimizers)
    confident = _most_confident(mistakes)
    untested = untested_classes(source.mistakes.values())
    comparable = dataset.name == "mnist" and dataset.train_size >= LEAST_IMAGES
    pictures: dict[str, Picture | None] = {
        "final-accuracy": final_accuracy(summary, finals, optimizers, comparable, against.majority),
        "convergence": convergence(epochs, optimizers, seconds),
        "epoch-seconds": epoch_seconds(runs, epochs, optimizers),
        "time-to-target": time_to_target(tables["targets"], optimizers),
        "performance-profile": profile(tables["targets"], optimizers),
        "tuning-curves": tuning_curves(runs, optimizers),
        "learning-rates": learning_rates(runs, settings, winners, definition),
        "slices": slices(runs, settings, definition),
        "importances": Importances(source.importances, looks(optimizers)) if source.importances else None,
        "outcomes": outcomes(summary, optimizers),
        **_mistaken(mistakes, confident, classes(tables["classes"], optimizers, untested)),
    }
    return Contents(
        source=source,
        answer=tuple(answer(definition.subset, finals, summary, outcome_of(source.sweep) != "running", against)),
        sanity=tuple(sanity(finals)),
        finals=finals,
        tables=tables,
        pictures={name: picture for name, picture in pictures.items() if picture is not None},
        without_pictures=confident.finding if confident and not confident.pictured else "",
        recipes=tuple(_recipes(runs, settings, optimizers)),
        compute=compute,
    )


def targets_summary(targets: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per optimizer: for each target, how many seeds reached it, and the median epochs and seconds until then.

    The median is None where half of the seeds or more never got there.
    """
    rows = []
    for optimizer, mine in targets.groupby("optimizer", sort=False):
        cells = []
        for target, of in mine.groupby("target"):
            reached = int(np.isfinite(of["epochs"]).sum())
            epochs = median_or_never(of["epochs"].tolist())
            seconds = median_or_never(of["seconds"].tolist()) if of["seconds"].notna().all() else None
            cells.append(
                {"target": target, "reached": reached, "seeds": len(of), "epochs": epochs, "seconds": seconds}
            )
        rows.append({"optimizer": optimizer, "targets": cells})
    return rows


def _by_optimizer(
    mistakes: Mapping[str, Mistakes], runs: pd.DataFrame, optimizers: Sequence[str]
) -> dict[str, dict[str, Mistakes]]:
    """Of the finals in `runs`, by optimizer in that order and by seed."""
    finals = runs[runs["run_id"].isin(mistakes.keys())].to_dict("records")
    found = {
        name: {str(each["seed"]): mistakes[each["run_id"]] for each in finals if each["optimizer"] == name}
        for name in optimizers
    }
    return {name: of_seeds for name, of_seeds in found.items() if of_seeds}


def _mistaken(
    mistakes: Mapping[str, Mapping[str, Mistakes]], confident: ConfidentMistakes | None, by_class: Classes
) -> dict[str, Picture | None]:
    """The figures of what the models get wrong: of the best optimizer, and of all."""
    if not mistakes:
        return {}
    best, of_seeds = next(iter(mistakes.items()))
    return {
        "confusion": confusion(best, list(of_seeds.values())),
        "mistakes": confident if confident and confident.pictured else None,
        "classes": by_class,
    }


def _most_confident(mistakes: Mapping[str, Mapping[str, Mistakes]]) -> ConfidentMistakes | None:
    """Of the best optimizer's first final; None where there is none, or it makes none."""
    for name, of_seeds in mistakes.items():
        seed, first = next(iter(of_seeds.items()))
        found = ConfidentMistakes(name, seed, first.class_names, first.most_confident)
        return found if found.mistakes else None
    return None


def _recipes(
    runs: pd.DataFrame, settings: Mapping[str, Mapping[str, Any]], optimizers: Sequence[str]
) -> list[Recipe]:
    """Of each optimizer's winner, from the config of its first final."""
    recipes = []
    for name in optimizers:
        finals = runs[(runs["stage"] == "final") & (runs["optimizer"] == name) & runs["run_id"].isin(settings.keys())]
        if len(finals):
            recipes.append(_recipe(name, settings[finals["run_id"].iloc[0]]))
    return recipes


def _recipe(name: str, config: Mapping[str, Any]) -> Recipe:
    defaults = flatten(RunConfig())
    # the chapter's own split is another one, and another optimizer begins from its own defaults
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
