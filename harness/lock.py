"""One process at a time on a run or sweep."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import BusyError

HOLDER = "holder"


def this_process() -> str:
    """This one, in words."""
    return f"process {os.getpid()} on {platform.node()}"


def may_run(process: str) -> bool:
    """Whether the process of those words may still run.

    Its number may be another's now, and of another host, or on Windows, nothing is known.
    """
    number, _, host = process.removeprefix("process ").partition(" on ")
    if host != platform.node() or sys.platform == "win32":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def holder(folder: Path) -> str | None:
    """The process that is at the run or sweep of `folder`; None where there is none."""
    try:
        with FileLock(folder / "lock", timeout=0):
            return None
    except Timeout:
        return (folder / HOLDER).read_text(encoding="utf-8")


def busy(folder: Path) -> str | None:
    """A process that is at any run or sweep of the project whose work folder this is; None where there is none."""
    locks = (lock for kind in ("runs", "sweeps") for lock in folder.glob(f"{kind}/*/lock"))
    return next((process for lock in locks if (process := holder(lock.parent))), None)


@contextlib.contextmanager
def only_process(folder: Path, kind: str, run_id: str) -> Iterator[None]:
    """Hold the lock of `folder`, made where it is not there, of a run or sweep. The system frees it at the end.

    Raises:
        BusyError: another process holds it; named with its host.
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
            next_step="wait for it, or end it and run again",
        ) from None
