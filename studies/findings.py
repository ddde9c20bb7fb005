"""What a sweep has found, from what is recorded of it: its result, its winner, what each hyperparameter mattered."""

from collections import Counter
from statistics import mean
from typing import Any

from harness.config import FrozenModel
from harness.records import METRIC_NAMES, Outcome, Stage, Tag
from harness.tracking.tracker import FoundRun
from studies.beginning import in_mlflow
from studies.open_sweep import Sweep
from studies.search.study import Search


class StudyResult(FrozenModel):
    """What the coordinator counts of one optimizer's study, and the test accuracies of its finals in seed order.

    `outcomes` counts the trials by how they ended, `best` are the winner's values of what was searched.
    """

    trials: int
    outcomes: dict[Outcome, int]
    epochs_spent: float
    best: dict[str, Any] | None
    finals: tuple[float, ...]


class SweepResult(FrozenModel):
    """What the coordinator knows of a sweep when it ends; `reports.document` has all that was found."""

    sweep_id: str
    optimizers: dict[str, StudyResult]


def result_of(sweep: Sweep) -> SweepResult:
    """What is recorded of the sweep."""

    def of(optimizer: str, study: Search) -> StudyResult:
        finals = tuple(final.metrics[METRIC_NAMES["test_accuracy"]] for final in sweep.completed_finals(optimizer))
        return StudyResult(
            trials=sum(trial.outcome is not None for trial in study.trials),
            outcomes=dict(Counter(trial.outcome for trial in study.trials if trial.outcome)),
            epochs_spent=study.epochs_spent,
            best=study.best[0] if study.best else None,
            finals=finals,
        )

    return SweepResult(
        sweep_id=sweep.sweep_id, optimizers={name: of(name, study) for name, study in sweep.searches.items()}
    )


def winning_final(sweep: Sweep) -> FoundRun | None:
    """The first final of the optimizer whose finals validated best on average; None where none completed.

    Not the one whose best trial did: that is the luckiest of many on one seed. One whose finals diverged comes after
    those of which more completed.
    """
    accuracy = METRIC_NAMES["validation_accuracy"]
    finals = [completed for optimizer in sweep.searches if (completed := sweep.completed_finals(optimizer))]
    best = max(finals, key=lambda each: (len(each), mean(final.metrics[accuracy] for final in each)), default=None)
    return best[0] if best else None


def mark_superseded(sweep: Sweep) -> None:
    """The finals of earlier winners: more trials have found better ones since."""
    current = {final.run_id for optimizer in sweep.searches for final in sweep.winners_finals(optimizer)}
    for run in sweep.recorded.values():
        if run.tags[Tag.STAGE] == Stage.FINAL and run.run_id not in current:
            sweep.tracker.set_tags(run.run_id, {Tag.SUPERSEDED: "true"})


def importances_of(sweep: Sweep) -> dict[str, dict[str, float]]:
    """What each config key mattered to each optimizer's search, for those of which the trials say it."""
    found = {name: search.importances() for name, search in sweep.searches.items()}
    return {name: shares for name, shares in found.items() if shares}


def summary_metrics(result: SweepResult) -> dict[str, float]:
    """What the sweep's own run shows in MLflow."""
    return {
        in_mlflow(f"final_test_accuracy/{name}"): mean(each.finals)
        for name, each in result.optimizers.items()
        if each.finals
    }
