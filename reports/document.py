"""The report as one JSON document, for programs: what it says, with its schema."""

from typing import Any, Literal

import pandas as pd

from harness.config import FrozenModel
from harness.records import Outcome, Tag
from reports.contents import Contents
from reports.optimizers import TRIAL_OUTCOMES
from reports.statistics import PairDifference
from reports.tables import outcome_of


class OptimizerResult(FrozenModel):
    """What a sweep found of one optimizer. Accuracies are fractions.

    Of its trials: how many, by how they ended, the epochs that they spent, and the winner's searched hyperparameters
    (`best`) and validation accuracy. `finals` are test accuracies, of `final_seeds` in their order; `ci` holds their
    mean with 95% confidence, `selected_mean` is that at the epoch which validation selects. `tiers`: from 1, the
    best; two optimizers share one if and only if they can't be told apart. `edges` says where the winner is at the
    end of what was searched, empty where nowhere. `command` trains with the winner's hyperparameters again.
    """

    trials: int
    outcomes: dict[Outcome, int]
    epochs_spent: float
    best: dict[str, Any] | None
    best_validation_accuracy: float | None
    final_seeds: tuple[int, ...]
    finals: tuple[float, ...]
    seeds: int
    mean: float | None
    ci: tuple[float | None, float | None]
    selected_mean: float | None
    tiers: str
    edges: str
    seconds_per_epoch: float | None
    command: str | None


class FigureText(FrozenModel):
    """A figure's file name without width and format, and its finding."""

    name: str
    finding: str


class Failure(FrozenModel):
    """Trials or finals of an optimizer that did not complete for one cause, which is empty where not recorded."""

    optimizer: str
    stage: str
    outcome: str
    cause: str
    runs: int


class ReportDocument(FrozenModel):
    """What a sweep, or a single run, found: the one document of `report.json` and of `harness sweep --json`.

    `kind` is what it is of, `run_id` its run in MLflow, and `sweep_id` the same of a sweep; `outcome` is how it
    ended, or `running`. `report` is the page's path where a command wrote it.

    Version 1, of `report.json` alone, had optimizers as a list, each with `low` and `high` (now `ci`), `winner` (now
    `best`, typed), `not_fully_tuned` (now `edges`) and `finals` by seed (now beside `final_seeds`).
    """

    version: Literal[2] = 2
    kind: Literal["sweep", "run"]
    run_id: str
    sweep_id: str | None
    experiment: str
    outcome: str
    subset: bool
    answer: tuple[str, ...]
    optimizers: dict[str, OptimizerResult]
    differences: tuple[PairDifference, ...]
    failures: tuple[Failure, ...]
    figures: tuple[FigureText, ...]
    definition_hash: str | None
    data_digest: str | None
    git_commit: str | None
    report: str | None = None


def report_document(contents: Contents) -> ReportDocument:
    """Return the document of what a report says."""
    sweep, single = contents.source.sweep, contents.source.single
    return ReportDocument(
        kind="run" if single else "sweep",
        run_id=sweep.run_id,
        sweep_id=None if single else sweep.run_id,
        experiment=sweep.experiment,
        outcome=outcome_of(sweep),
        subset=contents.source.definition.subset,
        answer=contents.answer,
        optimizers={row["optimizer"]: _optimizer(contents, row) for row in contents.summary.to_dict("records")},
        differences=tuple(
            PairDifference.model_validate({key: _known(row[key]) for key in PairDifference.model_fields})
            for row in contents.tables["differences"].to_dict("records")
        ),
        failures=tuple(Failure.model_validate(row) for row in contents.tables["failures"].to_dict("records")),
        figures=tuple(FigureText(name=name, finding=each.finding) for name, each in contents.pictures.items()),
        definition_hash=sweep.tags.get(Tag.DEFINITION_HASH),
        data_digest=sweep.tags.get(Tag.DATA_DIGEST),
        git_commit=sweep.tags.get(Tag.GIT_COMMIT),
    )


def _optimizer(contents: Contents, row: dict[Any, Any]) -> OptimizerResult:
    name = row["optimizer"]
    winner, finals = contents.computed.winners.get(name), contents.finals[name]
    seeds = [seed for seed in contents.source.definition.final_seeds if seed in finals]
    return OptimizerResult(
        trials=row["trials"],
        outcomes={Outcome(each): row[each] for each in TRIAL_OUTCOMES if row[each]},
        epochs_spent=row["epochs_spent"],
        best=dict(winner.values) if winner else None,
        best_validation_accuracy=winner.validation_accuracy if winner else None,
        final_seeds=tuple(seeds),
        finals=tuple(finals[seed] for seed in seeds),
        seeds=row["seeds"],
        mean=_known(row["mean"]),
        ci=(_known(row["low"]), _known(row["high"])),
        selected_mean=_known(row["selected_mean"]),
        tiers=row["tiers"],
        edges=row["edges"],
        seconds_per_epoch=_known(row["train_seconds"]),
        command=next((each.command for each in contents.recipes if each.optimizer == name), None),
    )


def _known(value: Any) -> Any:  # noqa: ANN401
    """None for what pandas has no number for."""
    return None if pd.isna(value) else value
