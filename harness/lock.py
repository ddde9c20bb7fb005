"""One process at a time on a run or sweep."""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import BadInputError

HOLDER = "holder"


def holder(folder: Path) -> str | None:
    """The process that is at the run or sweep of `folder`; None where there is none."""
    try:
        with FileLock(folder / "lock", timeout=0):
            return None
    except Timeout:
        return (folder / HOLDER).read_text(encoding="utf-8")


@contextlib.contextmanager
def only_process(folder: Path, what: str) -> Iterator[None]:
    """Hold the lock of `folder`, which is made where it is not there. The system frees it when the process ends.

    Raises:
        BadInputError: another process holds it; named with its host.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            (folder / HOLDER).write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
            yield
    except Timeout:
        raise BadInputError(
            f"{what} is being run by {(folder / HOLDER).read_text(encoding='utf-8')}: "
            "one process at a time is allowed; wait for it, or end it and run again"
        ) from None
