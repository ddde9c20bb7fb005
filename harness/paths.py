"""What the current folder keeps besides MLflow, in one place that git ignores, and whether it can be written."""

import re
import tempfile
from pathlib import Path

from harness.errors import BadInputError

WORK_FOLDER = Path(".harness")


def work_folder(kind: str, run_id: str) -> Path:
    """Where the current folder keeps what it has of a run, or of a sweep, besides MLflow.

    Raises:
        BadInputError: the store gave an id that is none of MLflow's, and would lead elsewhere.
    """
    if not re.fullmatch(r"[0-9A-Za-z_-]+", run_id):
        raise BadInputError(
            "run id", run_id, "is no name of a folder", expected="letters and digits", next_step="see the store"
        )
    return WORK_FOLDER / kind / run_id


def writable_folder(path: Path, next_step: str) -> Path:
    """The folder, made where it is not there.

    Raises:
        BadInputError: it can't be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise BadInputError(
            "output folder",
            str(path),
            f"can't be written ({error.strerror})",
            expected="a folder that you may write",
            next_step=next_step,
        ) from None
