"""Compute everything that a report shows, before it is put into words or drawn: frames, winners, verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from harness.config import DatasetConfig, flatten, things_of
from harness.records import Mistakes, Outcome, Stage
from reports.caveats import Caveats, caveats
from reports.courses import convergence_frame, courses_frame
from reports.evidence import final_accuracies
from reports.luck import Luck, image_luck, luck_of, wrong_images
from reports.optimizers import summary_frame
from reports.pace import pace_frame, pace_in_words
from reports.pairs import differences_frame, verdicts_frame
from reports.source import Source
from reports.tables import (
    classes_frame,
    epochs_frame,
    failures_frame,
    finals_by_seed,
    measured_split,
    runs_frame,
)
from reports.targets import judged_target, target_accuracies, targets_frame, time_to_target
from reports.tuning import TuningGain, tuning_gains
from reports.verdicts import Verdicts, find_verdicts
from reports.winners import Winners, find_winners, superseded, winners_frame


@dataclass(frozen=True)
class Compute:
    """The number of all runs, their epochs and their seconds, including finals of earlier winners."""

    runs: int
    epochs: float
    seconds: float


@dataclass(frozen=True)
class Computed:
    """Everything that is computed from one sweep or single run, without the finals of earlier winners.

    `courses` holds the measurements of finals by epochs trained. `finals` are test accuracies (fractions) by
    optimizer and seed, the best optimizer first. `mistakes` are those of the finals, by optimizer and seed; first
    comes the optimizer whose model the sweep keeps. `settings` are the configs by run id and dotted key.
    """

    source: Source
    runs: pd.DataFrame
    epochs: pd.DataFrame
    courses: pd.DataFrame
    settings: Mapping[str, Mapping[str, Any]]
    winners: Winners
    verdicts: Verdicts
    gains: Sequence[TuningGain]
    finals: Mapping[str, Mapping[int, float]]
    summary: pd.DataFrame
    mistakes: Mapping[str, Mapping[str, Mistakes]]
    against: Caveats
    compute: Compute

    @property
    def optimizers(self) -> tuple[str, ...]:
        """Return the optimizers in the order of the definition."""
        return self.source.definition.optimizers

    @cached_property
    def measured_finals(self) -> pd.DataFrame:
        """Return the rows of `runs` that are completed finals with a test accuracy."""
        finals = self.runs[(self.runs["stage"] == Stage.FINAL) & (self.runs["outcome"] == Outcome.COMPLETED)]
        return finals[finals["test_accuracy"].notna()]

    @cached_property
    def things(self) -> str:
        """Return in words what the models were trained and tested on: `images`, or `rows` of a table."""
        mistakes = (each for of_seeds in self.mistakes.values() for each in of_seeds.values())
        are_rows = any(not each.pixels for of in mistakes for each in of.most_confident)
        return "rows" if are_rows else things_of(self.source.definition.base.dataset)

    @cached_property
    def split(self) -> str:
        """Return `validation`, or `test` if no final has a validation split."""
        return measured_split(self.epochs)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """Return when each final reached each target accuracy, the best optimizer first."""
        accuracies = target_accuracies(self.source.definition, self.winners)
        return targets_frame(self.runs, self.courses, self.seconds, self.epoch_images, accuracies)

    @cached_property
    def epoch_images(self) -> dict[str, int]:
        """Return the training images of an epoch of each optimizer, the best optimizer first."""
        return {name: self.source.definition.images(name, 1) for name in self.summary["optimizer"]}

    @cached_property
    def convergence(self) -> pd.DataFrame:
        """Return the convergence of the finals, with the optimizers in the order of the definition."""
        ids = set(self.runs.loc[self.runs["stage"] == Stage.FINAL, "run_id"])
        finals = [run for run in self.source.runs if run.run_id in ids]
        frame = convergence_frame(finals, self.courses, self.epochs[self.epochs["run_id"].isin(ids)])
        return frame.sort_values("optimizer", key=lambda names: names.map(self.optimizers.index), kind="stable")

    @cached_property
    def pace(self) -> pd.DataFrame:
        """Return how fast each optimizer trains, the fastest first."""
        return pace_frame(self.runs, self.source.definition.replicates)

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Return the training seconds per epoch by optimizer, the mean over its finals."""
        return dict(zip(self.pace["optimizer"], self.pace["mean"], strict=True))

    @property
    def pace_in_words(self) -> str:
        """Return a sentence on how long an epoch takes and which optimizers are shown to be faster."""
        return pace_in_words(self.pace, self.source.definition.replicates, self.verdicts.lost)

    @cached_property
    def luck(self) -> Luck | None:
        """Return the sources of luck in the finals; None with too few replicates."""
        definition = self.source.definition
        # a user's own data keep their split (`studies.replicates.of_replicate`)
        found = luck_of(final_accuracies(self.runs, definition), isinstance(definition.base.dataset, DatasetConfig))
        wrong = wrong_images(self.mistakes)
        return found and found.model_copy(update={"images": wrong and image_luck(*wrong)})

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Return every frame by the name of its file."""
        return {
            "summary": self.summary,
            "winners": winners_frame(self.winners),
            "differences": differences_frame(self.verdicts),
            "verdicts": verdicts_frame(self.verdicts),
            "tuning": pd.DataFrame([each.model_dump() for each in self.gains], columns=list(TuningGain.model_fields)),
            "targets": self.targets,
            "classes": classes_frame({name: list(of_seeds.values()) for name, of_seeds in self.mistakes.items()}),
            "failures": failures_frame(self.runs),
            "runs": self.runs,
            "epochs": self.epochs,
        }


def compute(source: Source) -> Computed:
    """Return everything that tables, figures and sentences are made from."""
    definition, optimizers = source.definition, source.definition.optimizers
    epochs = epochs_frame(source.runs)
    seconds = float(epochs[["train_seconds", "evaluate_seconds"]].sum().sum())
    runs = runs_frame(source.runs, epochs)
    taken = Compute(runs=len(source.runs), epochs=float(runs["epochs"].sum()), seconds=seconds)
    winners = find_winners(runs, definition, source.configs.get)
    replaced = superseded(source.runs, winners, definition)
    runs, epochs = (frame[~frame["run_id"].isin(replaced)] for frame in (runs, epochs))
    courses = _courses(source, runs, epochs)
    target = judged_target(winners)
    timed = None if target is None else time_to_target(runs, courses, definition, target)
    verdicts = find_verdicts(runs, definition, winners, timed)
    summary = summary_frame(runs, winners, optimizers, verdicts)
    return Computed(
        source=source,
        runs=runs,
        epochs=epochs,
        courses=courses,
        settings={run_id: flatten(config) for run_id, config in source.configs.items()},
        winners=winners,
        verdicts=verdicts,
        gains=tuning_gains(runs, definition, winners, verdicts.margin) if definition.start_finals else (),
        finals=finals_by_seed(runs, optimizers),
        summary=summary,
        mistakes=_by_optimizer(source.mistakes, runs, optimizers),
        against=caveats(runs, source.mistakes, optimizers),
        compute=taken,
    )


def _courses(source: Source, runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the measurements of the finals by epochs trained."""
    ids = set(runs.loc[runs["stage"] == Stage.FINAL, "run_id"])
    finals = [run for run in source.runs if run.run_id in ids]
    return courses_frame(finals, epochs[epochs["run_id"].isin(ids)], measured_split(epochs))


def _by_optimizer(
    mistakes: Mapping[str, Mistakes], runs: pd.DataFrame, optimizers: Sequence[str]
) -> dict[str, dict[str, Mistakes]]:
    """Return the mistakes of the finals in `runs`, by optimizer and seed.

    First comes the optimizer whose model the sweep keeps: of those with the most completed finals, the one whose
    finals have the best mean validation accuracy.
    """
    finals = runs[runs["run_id"].isin(mistakes.keys())].to_dict("records")
    found = {
        name: {str(each["seed"]): mistakes[each["run_id"]] for each in finals if each["optimizer"] == name}
        for name in optimizers
    }
    completed = runs[(runs["stage"] == Stage.FINAL) & (runs["outcome"] == Outcome.COMPLETED)]
    validated = completed.astype({"validation_accuracy": float}).groupby("optimizer")["validation_accuracy"]
    counts, means = validated.size(), validated.mean()
    known = [name for name, of_seeds in found.items() if of_seeds]
    best = max(known, key=lambda name: (counts.get(name, 0), means.get(name, 0.0)), default=None)
    return {name: found[name] for name in sorted(known, key=lambda name: name != best)}
