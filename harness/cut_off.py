"""Runs that MLflow shows as running, though what began them here has ended: a killed process closes nothing."""

from pathlib import Path

from harness.config import FrozenModel
from harness.lock import holder, may_run
from harness.paths import work_folder
from harness.records import CONFIG_ARTIFACT, Stage, Tag
from harness.tracking.read import find_artifact, find_running, find_sweeps
from harness.tracking.tracker import TrackedRun


class CutOff(FrozenModel):
    """One of them. `stage` is what it is part of, `next_step` what ends it, for a person."""

    run_id: str
    stage: str
    next_step: str


def cut_off_runs() -> list[CutOff]:
    """Those of the current folder, each sweep once for its trials and finals.

    One that a process may still be at is none, nor one of another folder or machine.

    Raises:
        BadInputError: the store can't be reached.
    """
    running = find_running()
    ids = {run.run_id for run in running}
    return [
        CutOff(run_id=run.run_id, stage=run.tags[Tag.STAGE], next_step=_next_step(run))
        for run in running
        if run.tags.get(Tag.SWEEP_ID) not in ids and _is_cut_off(run)
    ]


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
    """What the current folder has of it where it was begun here; of a trial or final, that of its sweep."""
    if run.tags[Tag.STAGE] == Stage.RUN:
        return work_folder("runs", run.run_id)
    return work_folder("sweeps", run.tags.get(Tag.SWEEP_ID, run.run_id))


def _next_step(run: TrackedRun) -> str:
    delete = f"`mlflow runs delete --run-id {run.run_id}` closes it"
    if run.tags[Tag.STAGE] == Stage.RUN:
        begun = find_artifact(run.run_id, CONFIG_ARTIFACT) is not None
        return f"`harness run --resume {run.run_id}` goes on with it, or {delete}" if begun else delete
    # the command goes on with the last one that was begun here
    last = next((each for each in find_sweeps(run.experiment) if work_folder("sweeps", each.run_id).exists()), None)
    if last is None or last.run_id != run.tags.get(Tag.SWEEP_ID, run.run_id) or last.status == "FINISHED":
        return delete
    command = run.tags.get(Tag.COMMAND, f"harness sweep {run.experiment}")
    return f"`{command}` goes on with it, or {delete}"
