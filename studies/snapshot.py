"""Publish a running sweep's progress to other processes in a small file, without torch, so that reading is fast."""

from pathlib import Path

from pydantic import ValidationError

from harness.config import FrozenModel
from harness.paths import work_folder

FILE = "progress.json"


class Snapshot(FrozenModel):
    """The progress that other processes see.

    `workers`: what each worker trains, in words, None for one that waits. `seconds_left`: None before the first slice
    has ended.
    """

    workers: tuple[str | None, ...]
    seconds_left: float | None


def sweep_folder(sweep_id: str) -> Path:
    """Return the folder of a sweep's lock, checkpoints, Optuna journal and snapshot."""
    return work_folder("sweeps", sweep_id)


def read_snapshot(folder: Path) -> Snapshot | None:
    """Return the latest snapshot in a sweep's folder; None if there is none."""
    try:
        return Snapshot.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def write_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Replace the snapshot in a sweep's folder in one step, so that a reader never sees half of it."""
    temporary = folder / f"{FILE}.partial"
    temporary.write_text(snapshot.model_dump_json(), encoding="utf-8")
    temporary.replace(folder / FILE)
