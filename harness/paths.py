"""Find and make the work folder, which is in the current folder and holds all files but MLflow's."""

import re
import tempfile
from pathlib import Path

from harness.errors import BadInputError

WORK_FOLDER = Path(".harness")


def work_folder(kind: str, run_id: str) -> Path:
    """Return the folder with the files of one run or sweep. `kind` is "runs" or "sweeps".

    Raises:
        BadInputError: the id is not in MLflow's form, and could name a path outside the work folder.
    """
    if not re.fullmatch(r"[0-9A-Za-z_-]+", run_id):
        raise BadInputError(
            "run id",
            run_id,
            "can't be the name of a folder",
            expected="letters and digits",
            next_step="check the store",
        )
    return WORK_FOLDER / kind / run_id


def writable_folder(path: Path, next_step: str) -> Path:
    """Return the folder, and make it if it is missing.

    Raises:
        BadInputError: the folder can't be written.
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
            expected="a folder that you can write to",
            next_step=next_step,
        ) from None
