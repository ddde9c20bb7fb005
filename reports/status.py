"""How far a sweep is, from what MLflow holds of it: budgets spent, best so far, what runs now."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.config import FrozenModel
from harness.records import METRIC_NAMES, Outcome, Stage, Tag
from harness.tracking.tracker import TrackedRun
from reports.tables import epochs_frame, outcome_of, runs_frame, without_superseded


class StudyProgress(FrozenModel):
    """One optimizer's part. `best` is a validation accuracy (fraction); `running` is in words."""

    optimizer: str
    epochs_spent: int
    budget: int
    best: float | None
    finals: int
    final_seeds: int
    running: tuple[str, ...]


class SweepProgress(FrozenModel):
    """A sweep as it is now. `outcome` is `running` where none is recorded: it runs, or it was killed.

    `command` goes on with it.
    """

    sweep_id: str
    name: str
    command: str
    outcome: str
    epochs_done: int
    total_epochs: int
    subset: bool
    studies: tuple[StudyProgress, ...]


def sweep_progress(sweep: TrackedRun, children: Sequence[TrackedRun], definition: Mapping[str, Any]) -> SweepProgress:
    """How far it is. The finals of a winner that more trials have replaced don't count."""
    runs = without_superseded(runs_frame(children, epochs_frame(children)), definition)
    children = [run for run in children if run.run_id in set(runs["run_id"])]
    studies = tuple(
        _study(name, [run for run in children if run.tags.get(Tag.OPTIMIZER) == name], definition)
        for name in definition["optimizers"]
    )
    each = definition["budget"] + len(definition["final_seeds"]) * definition["final_epochs"]
    return SweepProgress(
        sweep_id=sweep.run_id,
        name=sweep.experiment,
        command=sweep.tags.get(Tag.COMMAND, f"harness sweep {sweep.experiment}"),
        outcome=outcome_of(sweep),
        epochs_done=sum(_epochs(run) for run in children),
        total_epochs=len(studies) * each,
        subset=definition["subset"],
        studies=studies,
    )


def _study(name: str, runs: Sequence[TrackedRun], definition: Mapping[str, Any]) -> StudyProgress:
    trials = [run for run in runs if run.tags[Tag.STAGE] == Stage.TRIAL]
    finals = [run for run in runs if run.tags[Tag.STAGE] == Stage.FINAL]
    completed = [run for run in trials if run.tags.get(Tag.OUTCOME) == Outcome.COMPLETED]
    accuracies = [run.history[METRIC_NAMES["validation_accuracy"]] for run in completed]
    return StudyProgress(
        optimizer=name,
        epochs_spent=sum(_spent(run) for run in trials),
        budget=definition["budget"],
        best=max((values[max(values)] for values in accuracies), default=None),
        finals=sum(run.tags.get(Tag.OUTCOME) == Outcome.COMPLETED for run in finals),
        final_seeds=len(definition["final_seeds"]),
        running=tuple(_describe(run, definition) for run in runs if run.status == "RUNNING"),
    )


def _epochs(run: TrackedRun) -> int:
    return len(run.history.get(METRIC_NAMES["train_loss"], {}))


def _spent(run: TrackedRun) -> int:
    """An epoch that was begun is spent, the one that diverged or failed too."""
    return _epochs(run) + (run.tags.get(Tag.OUTCOME) in (Outcome.DIVERGED, Outcome.FAILED))


def _describe(run: TrackedRun, definition: Mapping[str, Any]) -> str:
    which, of = ("trial", "trial_epochs") if run.tags[Tag.STAGE] == Stage.TRIAL else ("final, seed", "final_epochs")
    return f"{which} {run.tags[Tag.NUMBER]}, epoch {min(_epochs(run) + 1, definition[of])}/{definition[of]}"
