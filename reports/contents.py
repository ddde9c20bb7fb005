"""Collect everything that a report says: sentences, tables, and figures as records."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reports.answer import Suspicion, answer, suspicions
from reports.computed import Computed, compute
from reports.figures.registry import FIGURES
from reports.figures.style import Picture
from reports.recipes import Recipe, find_recipes
from reports.source import Source
from reports.tables import outcome_of


@dataclass(frozen=True)
class Contents:
    """The contents of a report. `pictures` are by figure name; `left_out` names figures without content, and why."""

    computed: Computed
    answer: tuple[str, ...]
    suspicions: tuple[Suspicion, ...]
    pictures: Mapping[str, Picture]
    left_out: tuple[str, ...]
    recipes: tuple[Recipe, ...]

    @property
    def source(self) -> Source:
        """Return the source of the report."""
        return self.computed.source

    @property
    def finals(self) -> Mapping[str, Mapping[int, float]]:
        """Return test accuracies (fractions) by optimizer and seed, the best optimizer first."""
        return self.computed.finals

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the frames by the name of their file."""
        return self.computed.tables

    @property
    def summary(self) -> pd.DataFrame:
        """Return the table of optimizers."""
        return self.computed.summary


def contents(source: Source) -> Contents:
    """Return the contents of the report on a source."""
    computed = compute(source)
    made = {each.name: each.make(computed) for each in FIGURES}
    ended = outcome_of(source.sweep) != "running"
    said = answer(
        source.definition.subset, computed.finals, computed.summary, computed.verdicts, ended, computed.against
    )
    return Contents(
        computed=computed,
        answer=tuple(said),
        suspicions=tuple(suspicions(computed.verdicts)),
        pictures={name: each for name, each in made.items() if isinstance(each, Picture)},
        left_out=tuple(each for each in made.values() if isinstance(each, str) and each),
        recipes=tuple(find_recipes(computed.runs, computed.settings, computed.optimizers, computed.winners)),
    )
