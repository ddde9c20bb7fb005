"""Find runs that MLflow shows as running although their process has ended, for example because it was killed."""

from pathlib import Path
from typing import Literal

from harness.config import FrozenModel
from harness.lock import holder, may_run
from harness.paths import work_folder
from harness.records import CONFIG_ARTIFACT, Stage, Tag
from harness.tracking.read import find_artifact, find_running, find_sweeps
from harness.tracking.tracker import TrackedRun


class CutOff(FrozenModel):
    """A run whose process ended without closing the run.

    `goes_on` says what can be resumed: "run" for the run itself, "sweep" for the sweep that the run is or belongs to,
    None if the run can only be deleted. `command` is the command that started the sweep; None if it was not recorded.
    """

    run_id: str
    stage: str
    experiment: str
    goes_on: Literal["run", "sweep"] | None
    command: str | None


def cut_off_runs() -> list[CutOff]:
    """Return the runs of the current folder that were cut off; for trials and finals, only their sweep.

    Runs that a process may still be training, and runs of other folders or machines, are left out.

    Raises:
        BadInputError: the store can't be reached.
    """
    running = find_running()
    ids = {run.run_id for run in running}
    return [_described(run) for run in running if run.tags.get(Tag.SWEEP_ID) not in ids and _is_cut_off(run)]


def _is_cut_off(run: TrackedRun) -> bool:
    folder = _folder(run)
    if folder.exists():
        if holder(folder):
            return False
    elif run.tags.get(Tag.FOLDER) != str(Path.cwd()):
        return False
    process = run.tags.get(Tag.PROCESS)
    return process is None or not may_run(process)


def _folder(run: TrackedRun) -> Path:
    """Return the work folder of the run; for a trial or final, that of its sweep. It exists if the run began here."""
    if run.tags[Tag.STAGE] == Stage.RUN:
        return work_folder("runs", run.run_id)
    return work_folder("sweeps", run.tags.get(Tag.SWEEP_ID, run.run_id))


def _described(run: TrackedRun) -> CutOff:
    return CutOff(
        run_id=run.run_id,
        stage=run.tags[Tag.STAGE],
        experiment=run.experiment,
        goes_on=_goes_on(run),
        command=run.tags.get(Tag.COMMAND),
    )


def _goes_on(run: TrackedRun) -> Literal["run", "sweep"] | None:
    if run.tags[Tag.STAGE] == Stage.RUN:
        return "run" if find_artifact(run.run_id, CONFIG_ARTIFACT) is not None else None
    # only the latest sweep of an experiment that began in this folder can be resumed
    last = next((each for each in find_sweeps(run.experiment) if work_folder("sweeps", each.run_id).exists()), None)
    if last is None or last.run_id != run.tags.get(Tag.SWEEP_ID, run.run_id) or last.status == "FINISHED":
        return None
    return "sweep"
