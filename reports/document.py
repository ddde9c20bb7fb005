"""Describe the report as one JSON document for programs, with its schema."""

from typing import Any, Literal

import pandas as pd

from harness.config import FrozenModel
from harness.records import Outcome, Stage, Tag
from reports.contents import Contents
from reports.luck import Luck
from reports.optimizers import TRIAL_OUTCOMES
from reports.tables import outcome_of
from reports.tuning import TuningGain
from reports.verdicts import PairVerdict
from reports.winners import best_winner
from studies.verdicts import largest_share


class Reliability(FrozenModel):
    """The numbers of an optimizer's lost and spoilt finals, and an upper bound of their share.

    A lost final diverged or failed; a spoilt one has more than twice the median error. The bound `largest_share`
    (fraction) has 95% confidence (Clopper and Pearson 1934).
    """

    finals: int
    lost: int
    spoilt: int
    largest_share: float


class Difference(FrozenModel):
    """The difference `better` minus `worse` in mean test accuracy (fractions), of the finals that the verdicts use.

    `seeds` is the fewer of these finals of the two.

    The intervals `low` to `high` of all pairs are simultaneous, and `p` is that of Tukey's range test. `probability`
    is the probability that a final of `better` is above one of `worse`.
    """

    better: str
    worse: str
    seeds: int
    mean: float
    low: float | None
    high: float | None
    p: float
    probability: float


class OptimizerResult(FrozenModel):
    """The results of one optimizer. Accuracies are fractions.

    Search: `trials`, `outcomes` (trials by how they ended), `epochs_spent`, the winner's searched values (`best`) and
    validation accuracy. `winner_is_start` is true if the published start won in every replicate. `edges` names the
    winner's values at an end of their range, and is empty if there are none.

    Finals: `finals` are the test accuracies on `final_seeds`, in the same order; `ci` is the 95% interval of their
    mean, without width if they do not vary; `selected_mean` is their mean at the epoch that validation selects. The
    verdicts may use fewer: those up to their last look. `tiers` follows from the verdicts and counts from 1, the
    best; optimizers in one tier are not shown to differ. `command` trains again with the winner's hyperparameters.
    """

    trials: int
    configurations: int
    winner_is_start: bool | None
    reliability: Reliability
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
    """The name of a figure's files, without width and format, and its finding."""

    name: str
    finding: str


class Failure(FrozenModel):
    """Trials or finals of an optimizer that did not complete for one cause; `cause` is empty if not recorded."""

    optimizer: str
    stage: str
    outcome: str
    cause: str
    runs: int


class ReportDocument(FrozenModel):
    """The results of a sweep or single run: the document in `report.json` and of `harness sweep --json`.

    `run_id` is the run in MLflow; `sweep_id` is the same id for a sweep, None for a single run. `outcome` is how it
    ended, or `running`. `population` says what the verdicts are about, `replicates` is the number that they use,
    `margin` (fraction) is the largest difference that does not matter, and `confidence` is the probability that all
    intervals are correct at every look: .95, or .9 if looks were added after the sweep had begun. `report` is the
    page's path if a command has written it.

    Version 1, in `report.json` only, had optimizers as a list, each with `low` and `high` (now `ci`), `winner` (now
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
    population: str | None
    replicates: int
    margin: float
    confidence: float
    verdicts: tuple[PairVerdict, ...]
    tuning: tuple[TuningGain, ...]
    luck: Luck | None
    optimizers: dict[str, OptimizerResult]
    differences: tuple[Difference, ...]
    failures: tuple[Failure, ...]
    figures: tuple[FigureText, ...]
    definition_hash: str | None
    data_digest: str | None
    git_commit: str | None
    report: str | None = None


def report_document(contents: Contents) -> ReportDocument:
    """Return the document for the contents of a report."""
    sweep, single, verdicts = contents.source.sweep, contents.source.single, contents.computed.verdicts
    return ReportDocument(
        kind="run" if single else "sweep",
        run_id=sweep.run_id,
        sweep_id=None if single else sweep.run_id,
        experiment=sweep.experiment,
        outcome=outcome_of(sweep),
        subset=contents.source.definition.subset,
        answer=contents.answer,
        population=verdicts.population if len(contents.finals) > 1 else None,
        replicates=verdicts.replicates if verdicts.of_optimizers else 1,
        margin=verdicts.margin,
        confidence=verdicts.confidence,
        verdicts=verdicts.pairs,
        tuning=tuple(contents.computed.gains),
        luck=contents.computed.luck,
        optimizers={row["optimizer"]: _optimizer(contents, row) for row in contents.summary.to_dict("records")},
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


def _optimizer(contents: Contents, row: dict[Any, Any]) -> OptimizerResult:
    name = row["optimizer"]
    winners, finals = contents.computed.winners.get(name, ()), contents.finals[name]
    winner = best_winner(winners) if winners else None
    seeds = sorted(finals)
    lost = row["lost_finals"]
    runs = contents.computed.runs
    begun = set(runs.loc[runs["stage"] == Stage.FINAL, "replicate"])
    every = begun <= {each.replicate for each in winners} and row["starts_won"] == len(winners)
    return OptimizerResult(
        trials=row["trials"],
        outcomes={Outcome(each): row[each] for each in TRIAL_OUTCOMES if row[each]},
        configurations=row["trials"],
        epochs_spent=row["epochs_spent"],
        best=dict(winner.values) if winner else None,
        best_validation_accuracy=winner.validation_accuracy if winner else None,
        winner_is_start=every if winners else None,
        reliability=Reliability(
            finals=row["seeds"] + lost,
            lost=lost,
            spoilt=row["spoilt_finals"],
            largest_share=largest_share(lost + row["spoilt_finals"], row["seeds"] + lost),
        ),
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
    """Return the value, or None if pandas marks it as missing."""
    return None if pd.isna(value) else value
