"""Lock a run or sweep, so that one process at a time works on it."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import BusyError
from harness.paths import WORK_FOLDER

HOLDER = "holder"


def this_process() -> str:
    """Return the name of this process: its number and its host."""
    return f"process {os.getpid()} on {platform.node()}"


def may_run(process: str) -> bool:
    """Return whether the process with this name (from `this_process`) may still be running.

    The answer may be wrongly True: the system may have reused the process id, and processes on another host or on
    Windows can't be checked.
    """
    number, _, host = process.removeprefix("process ").partition(" on ")
    if host != platform.node() or sys.platform == "win32":  # on Windows, signal 0 is Ctrl-C
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # the process of another user
    return True


def holder(folder: Path) -> str | None:
    """Return the name of the process that works on the run or sweep of `folder`; None if there is none."""
    try:
        with FileLock(folder / "lock", timeout=0):
            return None
    except Timeout:
        return (folder / HOLDER).read_text(encoding="utf-8")


def busy(folder: Path) -> str | None:
    """Return the name of a process that works on any run or sweep of a work folder; None if there is none."""
    locks = (lock for kind in ("runs", "sweeps") for lock in folder.glob(f"{kind}/*/lock"))
    return next((process for lock in locks if (process := holder(lock.parent))), None)


def only_one_begins() -> FileLock:
    """Return a lock of the work folder, for a block that looks for a sweep and begins it if there is none."""
    WORK_FOLDER.mkdir(exist_ok=True)
    return FileLock(WORK_FOLDER / "beginning")


@contextlib.contextmanager
def only_process(folder: Path, kind: str, run_id: str) -> Iterator[None]:
    """Hold the lock of a run or sweep, a file in `folder`, within the block; make the folder if it is missing.

    The system releases the lock when the process ends, however it ends.

    Raises:
        BusyError: another process holds the lock; the message names the process and its host.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            (folder / HOLDER).write_text(this_process(), encoding="utf-8")
            yield
    except Timeout:
        raise BusyError(
            kind,
            run_id,
            f"is being run by {(folder / HOLDER).read_text(encoding='utf-8')}",
            expected="one process at a time",
            next_step="wait for this process to end, or end it and run again",
        ) from None
