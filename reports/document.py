"""The report as one JSON document, for programs: what it says, with its schema."""

from typing import Any, Literal

import pandas as pd

from harness.config import FrozenModel
from harness.records import Tag
from reports.contents import Contents
from reports.statistics import Difference
from reports.tables import outcome_of


class OptimizerResult(FrozenModel):
    """One optimizer. Accuracies are fractions, of the test set; `low` and `high` hold the mean with 95% confidence.

    `tiers`: from 1, the best; two optimizers share one if and only if they can't be told apart. `finals` are by seed,
    `winner` are the searched hyperparameters as MLflow has them, `command` trains with them again.
    """

    optimizer: str
    tiers: str
    mean: float | None
    low: float | None
    high: float | None
    seeds: int
    finals: dict[int, float]
    seconds_per_epoch: float | None
    trials: int
    epochs_spent: int
    winner: dict[str, str]
    not_fully_tuned: str
    command: str | None


class FigureText(FrozenModel):
    """A figure's file name without width and format, and its finding."""

    name: str
    finding: str


class Failure(FrozenModel):
    """So many runs of an optimizer, trials or finals, that did not complete, and why; empty where not recorded."""

    optimizer: str
    stage: str
    outcome: str
    cause: str
    runs: int


class ReportDocument(FrozenModel):
    """A report. `kind` is what it is of; `outcome` is how that ended, or `running`."""

    version: Literal[1] = 1
    kind: Literal["sweep", "run"]
    run_id: str
    experiment: str
    outcome: str
    subset: bool
    answer: tuple[str, ...]
    optimizers: tuple[OptimizerResult, ...]
    differences: tuple[Difference, ...]
    failures: tuple[Failure, ...]
    figures: tuple[FigureText, ...]
    definition_hash: str | None
    data_digest: str | None
    git_commit: str | None


def document(contents: Contents) -> ReportDocument:
    """Of what the report says."""
    sweep = contents.source.sweep
    winners = contents.tables["winners"].set_index("optimizer")
    commands = {each.optimizer: each.command for each in contents.recipes}
    return ReportDocument(
        kind="run" if contents.source.single else "sweep",
        run_id=sweep.run_id,
        experiment=sweep.experiment,
        outcome=outcome_of(sweep),
        subset=contents.source.definition.subset,
        answer=contents.answer,
        optimizers=tuple(_optimizer(contents, row, winners, commands) for row in contents.summary.to_dict("records")),
        differences=tuple(
            Difference.model_validate({key: _known(row[key]) for key in Difference.model_fields})
            for row in contents.tables["differences"].to_dict("records")
        ),
        failures=tuple(Failure.model_validate(row) for row in contents.tables["failures"].to_dict("records")),
        figures=tuple(FigureText(name=name, finding=each.finding) for name, each in contents.pictures.items()),
        definition_hash=sweep.tags.get(Tag.DEFINITION_HASH),
        data_digest=sweep.tags.get(Tag.DATA_DIGEST),
        git_commit=sweep.tags.get(Tag.GIT_COMMIT),
    )


def _optimizer(
    contents: Contents, row: dict[Any, Any], winners: pd.DataFrame, commands: dict[str, str]
) -> OptimizerResult:
    name = str(row["optimizer"])
    aside = ("validation_accuracy", "run_id", "edges")
    values = winners.loc[name].drop(list(aside)).dropna().to_dict() if name in winners.index else {}
    return OptimizerResult.model_validate(
        {
            key: _known(row[key])
            for key in ("optimizer", "tiers", "mean", "low", "high", "seeds", "trials", "epochs_spent")
        }
        | {
            "finals": dict(contents.finals[name]),
            "seconds_per_epoch": _known(row["train_seconds"]),
            "winner": {str(key): str(value) for key, value in values.items()},
            "not_fully_tuned": row["edges"],
            "command": commands.get(name),
        }
    )


def _known(value: object) -> object:
    """None for what pandas has no number for."""
    return None if isinstance(value, float) and value != value else value
