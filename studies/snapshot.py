"""What a running sweep shows other processes: a small file in its folder. No torch, so that a look at it is quick."""

from pathlib import Path

from pydantic import ValidationError

from harness.config import FrozenModel
from harness.paths import work_folder

FILE = "progress.json"


class Snapshot(FrozenModel):
    """What another process may see. `workers`: what each is at, in words, None where it waits.

    `seconds_left` is None before the first epoch has ended.
    """

    workers: tuple[str | None, ...]
    seconds_left: float | None


def sweep_folder(sweep_id: str) -> Path:
    """Where a sweep's lock, checkpoints, Optuna journal and snapshot are."""
    return work_folder("sweeps", sweep_id)


def read_snapshot(folder: Path) -> Snapshot | None:
    """The last one that the sweep of `folder` published; None where there is none."""
    try:
        return Snapshot.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def write_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Publish it: a reader sees this one or the one before, whole."""
    temporary = folder / f"{FILE}.partial"
    temporary.write_text(snapshot.model_dump_json(), encoding="utf-8")
    temporary.replace(folder / FILE)
