"""What is kept of a run so that it can go on after anything: state and metrics in one checked file."""

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

KEYS = {"epochs", "step", "points", "divergence", "mistakes"}  # of a file
KEPT = 2  # the last one, and the one before it in case the last is damaged


@dataclass(frozen=True)
class Checkpoint:
    """A run after its last slice. `state` is `RunState.to_bytes`; None before the first slice.

    `epochs` are the whole ones, `step` steps of the next one are trained. `points` are all that were measured.
    `mistakes` are there once a run that is measured on the test set has come to its end.
    """

    state: bytes | None = None
    epochs: tuple[EpochMetrics, ...] = ()
    step: int = 0
    points: tuple[TrajectoryPoint, ...] = ()
    divergence: Divergence | None = None
    mistakes: Mistakes | None = None


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint so that a crash leaves either all of it or none; drop all but the last `KEPT`."""
    metrics = {
        "epochs": [each.model_dump(mode="json") for each in checkpoint.epochs],
        "step": checkpoint.step,
        "points": [each.model_dump(mode="json") for each in checkpoint.points],
        "divergence": checkpoint.divergence and checkpoint.divergence.model_dump(mode="json"),
        "mistakes": checkpoint.mistakes and checkpoint.mistakes.model_dump(mode="json"),
    }
    body = json.dumps(metrics).encode() + b"\n" + (checkpoint.state or b"")
    folder.mkdir(parents=True, exist_ok=True)
    step = f".step-{checkpoint.step:09d}" if checkpoint.step else ""  # sorted after the epochs that are whole by then
    path = folder / f"epoch-{len(checkpoint.epochs):05d}{step}.checkpoint"
    _write(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    for old in _paths(folder)[:-KEPT]:
        old.unlink()


def load_latest(folder: Path) -> Checkpoint:
    """The last checkpoint in `folder`; an empty one where there is none.

    Raises:
        DamagedFileError: the file is truncated or altered; named with both digests.
    """
    paths = _paths(folder)
    return load(paths[-1]) if paths else Checkpoint()


def load(path: Path) -> Checkpoint:
    """The checkpoint of one file, checked whole before any of it is used.

    Raises:
        DamagedFileError: the file is truncated or altered; named with both digests.
        BadInputError: a later version wrote it.
    """
    expected, _, body = path.read_bytes().partition(b"\n")
    actual = hashlib.sha256(body).hexdigest()
    if actual.encode() != expected:
        raise DamagedFileError(
            "checkpoint",
            str(path),
            f"is damaged, with sha256 {actual}",
            expected=f"sha256 {expected[:64].decode('ascii', 'replace')}",
            next_step="delete that file to go on from the one before it",
        )
    metrics, _, state = body.partition(b"\n")
    values = json.loads(metrics)
    _require_known(path, sorted(values.keys() - KEYS))
    try:
        return Checkpoint(
            state=state or None,
            epochs=tuple(EpochMetrics.model_validate(each) for each in values["epochs"]),
            step=values.get("step", 0),  # older: whole epochs alone
            points=tuple(TrajectoryPoint.model_validate(each) for each in values.get("points", ())),
            divergence=values["divergence"] and Divergence.model_validate(values["divergence"]),
            mistakes=Mistakes.model_validate(values["mistakes"]) if values.get("mistakes") else None,  # older: none
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
            expected="one of this version or an earlier one",
            next_step=f"go on with that version, or delete the folder {str(path.parent)!r} to train the run again "
            "from its beginning",
        )


def save_steps(folder: Path, epoch: int, steps: Steps) -> None:
    """Keep what each step of a whole epoch gave."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"epoch-{epoch:05d}.steps", steps_to_bytes([steps]))


def load_steps(folder: Path, epoch: int) -> Steps | None:
    """Return what each step of a whole epoch gave; None where that was not kept.

    Raises:
        DamagedFileError: the file is truncated or altered.
    """
    path = folder / f"epoch-{epoch:05d}.steps"
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        return steps_from_bytes(content)
    except Exception as error:  # of numpy, zipfile or zlib, whatever they come upon
        raise DamagedFileError(
            "steps",
            str(path),
            f"is damaged ({described(error)})",
            expected="the file that was written",
            next_step="delete it to go on without the losses of its steps",
        ) from None


def is_kept(folder: Path) -> bool:
    """Whether `folder` has a checkpoint: a crash can leave it without one."""
    return bool(_paths(folder))


def discard(folder: Path) -> None:
    """Remove a run's checkpoints, once its final state is tracked.

    The oldest is first, so that a crash meanwhile leaves the last one or none: never an older one to go on from.
    """
    with contextlib.suppress(OSError):
        for path in _paths(folder):
            path.unlink()
        shutil.rmtree(folder)


def _write(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves all of it, or what was there before."""
    temporary = path.with_suffix(".partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.checkpoint"))
