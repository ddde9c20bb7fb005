"""Collect what a sweep has found from its recorded runs: result, best final, importances, curves for MLflow."""

import itertools
from collections import Counter
from collections.abc import Iterator
from statistics import mean
from typing import Any

from harness.config import FrozenModel
from harness.records import METRIC_NAMES, MetricRow, Outcome, Stage, Tag
from harness.tracking.tracker import FoundRun
from studies.beginning import in_mlflow
from studies.open_sweep import Replicate, Sweep


class StudyResult(FrozenModel):
    """The counts of one optimizer's study, and the test accuracies (fractions) of its finals in seed order.

    `outcomes` counts the trials by how they ended; `best` holds the winner's searched values by dotted key.
    """

    trials: int
    outcomes: dict[Outcome, int]
    epochs_spent: float
    best: dict[str, Any] | None
    finals: tuple[float, ...]


class SweepResult(FrozenModel):
    """The result of a sweep as the coordinator knows it; `reports.document` has everything that was found."""

    sweep_id: str
    optimizers: dict[str, StudyResult]


def result_of(sweep: Sweep) -> SweepResult:
    """Return the result of the sweep from its studies and recorded runs."""

    def of(optimizer: str) -> StudyResult:
        trials = [trial for each in sweep.replicates for trial in each.searches[optimizer].trials]
        winners = [found for each in sweep.replicates if (found := each.winner(optimizer))]
        confirmed = sum(
            run.tags[Tag.STAGE] == Stage.CONFIRMATION and run.tags[Tag.OPTIMIZER] == optimizer
            for run in sweep.recorded.values()
        )
        return StudyResult(
            trials=sum(trial.outcome is not None for trial in trials),
            outcomes=dict(Counter(trial.outcome for trial in trials if trial.outcome)),
            epochs_spent=sum(each.searches[optimizer].epochs_spent for each in sweep.replicates)
            + confirmed * sweep.definition.trial_epochs,
            best=max(winners, key=lambda each: each[1])[0].values if winners else None,
            finals=tuple(final.metrics[METRIC_NAMES["test_accuracy"]] for final in sweep.completed_finals(optimizer)),
        )

    return SweepResult(sweep_id=sweep.sweep_id, optimizers={name: of(name) for name in sweep.definition.optimizers})


def winning_final(sweep: Sweep) -> FoundRun | None:
    """Return the first final of the optimizer whose finals have the best mean validation accuracy; None without one.

    The mean over finals counts, not the best trial, which is the luckiest of many on one seed. An optimizer with
    diverged finals ranks below those that completed more.
    """
    accuracy = METRIC_NAMES["validation_accuracy"]
    finals = [found for name in sweep.definition.optimizers if (found := sweep.completed_finals(name))]
    best = max(finals, key=lambda each: (len(each), mean(final.metrics[accuracy] for final in each)), default=None)
    return best[0] if best else None


def mark_superseded(sweep: Sweep) -> None:
    """Tag the finals of earlier winners: a larger budget has since found better trials."""
    current = {
        final.run_id
        for each in sweep.replicates
        for optimizer in each.searches
        for final in each.winners_finals(optimizer)
    }
    for run in sweep.recorded.values():
        if run.tags[Tag.STAGE] == Stage.FINAL and run.run_id not in current:
            sweep.tracker.set_tags(run.run_id, {Tag.SUPERSEDED: "true"})


def importances_of(sweep: Sweep) -> dict[str, dict[str, float]]:
    """Return the importance (share of 1) of each config key by optimizer: the mean over replicates that have one."""
    found = {}
    for name in sweep.definition.optimizers:
        shares = [of for each in sweep.replicates if (of := each.searches[name].importances())]
        if shares:
            found[name] = {key: mean(of.get(key, 0.0) for of in shares) for key in shares[0]}
    return found


def course_of(sweep: Sweep) -> list[MetricRow]:
    """Return the curves of the sweep's own run in MLflow; steps count the images spent of an optimizer's budget.

    The rows are the best validation accuracy after each trial of a search, and the mean test accuracy after each
    final in seed order. They depend only on what is recorded, not on the order in time.
    """
    searched = [row for each in sweep.replicates for row in _searched(each)]
    return searched + [row for name in sweep.definition.optimizers for row in _finals(sweep, name)]


def _searched(replicate: Replicate) -> Iterator[MetricRow]:
    which = f"/replicate {replicate.number + 1}" if replicate.number else ""
    for name, search in replicate.searches.items():
        images, best = 0, None
        for trial in itertools.takewhile(lambda each: each.outcome, search.trials):
            images += trial.images
            if trial.outcome is Outcome.COMPLETED:
                best = max(best or 0.0, trial.accuracies[-1])
            if best is not None:
                yield MetricRow(in_mlflow(f"best_validation_accuracy{which}/{name}"), best, images)


def _finals(sweep: Sweep, name: str) -> Iterator[MetricRow]:
    definition = sweep.definition
    accuracies = [final.metrics[METRIC_NAMES["test_accuracy"]] for final in sweep.completed_finals(name)]
    for count in range(1, len(accuracies) + 1):
        epochs = definition.budget * definition.replicates + count * definition.final_epochs
        value = mean(accuracies[:count])
        yield MetricRow(in_mlflow(f"final_test_accuracy/{name}"), value, definition.images(name, epochs))


def log_course(sweep: Sweep) -> None:
    """Log the rows of `course_of` that the sweep's run in MLflow does not have yet.

    If a larger budget led to other finals, their means follow those of the earlier finals.
    """
    rows = course_of(sweep)
    last = {name: sweep.tracker.last_step(sweep.sweep_id, name) for name in {row.name for row in rows}}
    if new := [row for row in rows if row.step > last[row.name]]:
        sweep.tracker.log_rows(sweep.sweep_id, new)
