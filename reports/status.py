"""Read the progress of a sweep from MLflow: spent budgets, best accuracies so far, and running jobs."""

from collections.abc import Callable, Sequence

from harness.config import FrozenModel, RunConfig
from harness.records import METRIC_NAMES, Outcome, Stage, Tag
from harness.tracking.read import read_sweep
from harness.tracking.tracker import TrackedRun
from reports.source import read_configs, read_sweep_definition
from reports.tables import epochs_frame, outcome_of, runs_frame
from reports.trajectories import epochs_spent, epochs_trained
from reports.winners import Winner, best_winner, find_winners, superseded
from studies.definition import SweepDefinition


class StudyProgress(FrozenModel):
    """The progress of one optimizer's study. `best` is a validation accuracy (fraction); `running` is in words."""

    optimizer: str
    epochs_spent: float
    budget: int
    best: float | None
    finals: int
    final_seeds: int
    running: tuple[str, ...]


class SweepProgress(FrozenModel):
    """The progress of a sweep. `outcome` is `running` if none is recorded: the sweep runs, or was killed.

    `command` is the command that began the sweep, None if it was not recorded.
    """

    sweep_id: str
    name: str
    command: str | None
    outcome: str
    epochs_done: float
    total_epochs: int
    subset: bool
    studies: tuple[StudyProgress, ...]


def read_progress(sweep_id: str) -> SweepProgress:
    """Return the progress of the sweep with that id.

    Raises:
        BadInputError: the sweep does not exist.
    """
    sweep, children = read_sweep(sweep_id)
    by_id = {run.run_id: run for run in children}

    def config_of(run_id: str) -> RunConfig | None:
        return read_configs([by_id[run_id]]).get(run_id)

    return sweep_progress(sweep, children, read_sweep_definition(sweep_id), config_of)


def sweep_progress(
    sweep: TrackedRun,
    children: Sequence[TrackedRun],
    definition: SweepDefinition,
    config_of: Callable[[str], RunConfig | None],
) -> SweepProgress:
    """Return the progress of a sweep, given its runs. The finals of replaced winners do not count.

    `config_of` returns a trial's config by run id; it is called for winners only.
    """
    winners = find_winners(runs_frame(children, epochs_frame(children)), definition, config_of)
    replaced = superseded(children, winners, definition)
    children = [run for run in children if run.run_id not in replaced]
    studies = tuple(
        _study(
            name, [run for run in children if run.tags.get(Tag.OPTIMIZER) == name], winners.get(name, ()), definition
        )
        for name in definition.optimizers
    )
    return SweepProgress(
        sweep_id=sweep.run_id,
        name=sweep.experiment,
        command=sweep.tags.get(Tag.COMMAND),
        outcome=outcome_of(sweep),
        epochs_done=sum(_epochs(run) for run in children),
        total_epochs=definition.total_epochs,
        subset=definition.subset,
        studies=studies,
    )


def _study(
    name: str, runs: Sequence[TrackedRun], winners: Sequence[Winner], definition: SweepDefinition
) -> StudyProgress:
    tuning = [run for run in runs if Stage(run.tags[Tag.STAGE]).is_tuning]
    finals = [run for run in runs if run.tags[Tag.STAGE] == Stage.FINAL]
    return StudyProgress(
        optimizer=name,
        epochs_spent=sum(epochs_spent(run, _whole_epochs(run)) for run in tuning),
        budget=definition.budget * definition.replicates,
        best=best_winner(winners).validation_accuracy if winners else None,
        finals=sum(run.tags.get(Tag.OUTCOME) == Outcome.COMPLETED for run in finals),
        final_seeds=len(definition.final_seeds) * definition.replicates,
        running=tuple(_describe(run, definition) for run in runs if run.status == "RUNNING"),
    )


def _epochs(run: TrackedRun) -> float:
    return epochs_trained(run, _whole_epochs(run))


def _whole_epochs(run: TrackedRun) -> int:
    return len(run.history.get(METRIC_NAMES["train_loss"], {}))


def _describe(run: TrackedRun, definition: SweepDefinition) -> str:
    stage, number = Stage(run.tags[Tag.STAGE]), run.tags[Tag.NUMBER]
    limit = definition.trial_epochs if stage.is_tuning else definition.final_epochs
    return f"{stage.of_number(number)}, epoch {_epochs(run):.1f} of {limit}"
