"""Save and load checkpoints: the state and metrics of a run in one file with a digest, from which it can resume."""

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.errors import BadInputError, DamagedFileError, described
from harness.records import Divergence, EpochMetrics, Mistakes, TrajectoryPoint
from harness.training.trajectory import Steps, steps_from_bytes, steps_to_bytes

KEYS = {"epochs", "step", "points", "divergence", "mistakes"}  # the keys of the metrics in a file
KEPT = 2  # the last checkpoint, and the one before it in case the last is damaged


@dataclass(frozen=True)
class Checkpoint:
    """Hold a run after its last slice. `state` is `RunState.to_bytes`; None before the first slice.

    `epochs` are the metrics of the whole epochs, and `step` is the number of trained steps of the next epoch.
    `points` are all measured points. `mistakes` is None until a run that is evaluated on the test set has ended.
    """

    state: bytes | None = None
    epochs: tuple[EpochMetrics, ...] = ()
    step: int = 0
    points: tuple[TrajectoryPoint, ...] = ()
    divergence: Divergence | None = None
    mistakes: Mistakes | None = None


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint, so that a crash leaves either the whole file or none; delete all but the last `KEPT`."""
    metrics = {
        "epochs": [each.model_dump(mode="json") for each in checkpoint.epochs],
        "step": checkpoint.step,
        "points": [each.model_dump(mode="json") for each in checkpoint.points],
        "divergence": checkpoint.divergence and checkpoint.divergence.model_dump(mode="json"),
        "mistakes": checkpoint.mistakes and checkpoint.mistakes.model_dump(mode="json"),
    }
    body = json.dumps(metrics).encode() + b"\n" + (checkpoint.state or b"")
    folder.mkdir(parents=True, exist_ok=True)
    step = f".step-{checkpoint.step:09d}" if checkpoint.step else ""  # sorted after the whole epoch before it
    path = folder / f"epoch-{len(checkpoint.epochs):05d}{step}.checkpoint"
    _write(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    for old in _paths(folder)[:-KEPT]:
        old.unlink()


def load_latest(folder: Path) -> Checkpoint:
    """Return the last checkpoint in `folder`; an empty checkpoint if there is none.

    Raises:
        DamagedFileError: the file is truncated or altered; the message has both digests.
        BadInputError: a later version wrote the file.
    """
    paths = _paths(folder)
    return load(paths[-1]) if paths else Checkpoint()


def load(path: Path) -> Checkpoint:
    """Return the checkpoint in a file, after a check of the file's digest.

    Raises:
        DamagedFileError: the file is truncated or altered; the message has both digests.
        BadInputError: a later version wrote the file.
    """
    expected, _, body = path.read_bytes().partition(b"\n")
    actual = hashlib.sha256(body).hexdigest()
    if actual.encode() != expected:
        raise DamagedFileError(
            "checkpoint",
            str(path),
            f"is damaged, with sha256 {actual}",
            expected=f"sha256 {expected[:64].decode('ascii', 'replace')}",
            next_step="delete this file to resume from the checkpoint before it",
        )
    metrics, _, state = body.partition(b"\n")
    values = json.loads(metrics)
    _require_known(path, sorted(values.keys() - KEYS))
    try:
        return Checkpoint(
            state=state or None,
            epochs=tuple(EpochMetrics.model_validate(each) for each in values["epochs"]),
            step=values.get("step", 0),  # older versions saved whole epochs only
            points=tuple(TrajectoryPoint.model_validate(each) for each in values.get("points", ())),
            divergence=values["divergence"] and Divergence.model_validate(values["divergence"]),
            # older versions saved no mistakes
            mistakes=Mistakes.model_validate(values["mistakes"]) if values.get("mistakes") else None,
        )
    except ValidationError as error:
        _require_known(path, [str(each["loc"][-1]) for each in error.errors() if each["type"] == "extra_forbidden"])
        raise


def _require_known(path: Path, later: list[str]) -> None:
    if later:
        raise BadInputError(
            "checkpoint",
            str(path),
            f"with {', '.join(map(repr, dict.fromkeys(later)))} was written by a later version of the harness",
            expected="a checkpoint of this version or an earlier one",
            next_step=f"resume with the later version, or delete the folder {str(path.parent)!r} to train the run "
            "again from its beginning",
        )


def save_steps(folder: Path, epoch: int, steps: Steps) -> None:
    """Write the loss and the number of correct images of each step of a whole epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"epoch-{epoch:05d}.steps", steps_to_bytes([steps]))


def load_steps(folder: Path, epoch: int) -> Steps | None:
    """Return the losses and the numbers of correct images of each step of a whole epoch; None if there is no file.

    Raises:
        DamagedFileError: the file is truncated or altered.
    """
    path = folder / f"epoch-{epoch:05d}.steps"
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        return steps_from_bytes(content)
    except Exception as error:  # numpy, zipfile and zlib raise errors of any kind for a damaged file
        raise DamagedFileError(
            "steps",
            str(path),
            f"is damaged ({described(error)})",
            expected="the file that was written",
            next_step="delete it to resume without the losses of its steps",
        ) from None


def is_kept(folder: Path) -> bool:
    """Return whether `folder` has a checkpoint; after a crash, it may have none."""
    return bool(_paths(folder))


def discard(folder: Path) -> None:
    """Delete a run's checkpoints, once its final state is tracked.

    The oldest is deleted first, so that a crash leaves the last checkpoint or none, but never only an older one.
    """
    with contextlib.suppress(OSError):
        for path in _paths(folder):
            path.unlink()
        shutil.rmtree(folder)


def _write(path: Path, content: bytes) -> None:
    """Write a file, so that a crash leaves either the whole new file or the old one."""
    temporary = path.with_suffix(".partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.checkpoint"))
