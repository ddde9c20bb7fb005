"""A sweep's Optuna journal: every line of an ask or tell on the disk when it returns, and synced once."""

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend


class Journal(JournalStorage):
    """Optuna's journal storage on a file that no other process writes to; the sweep's lock sees to that.

    A last line that a crash left unfinished is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._lines = _Lines(path)
        super().__init__(self._lines)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is recorded in this block is durable when it ends; a crash in it may keep a first part."""
        self._lines.held = []
        try:
            yield
        finally:
            held, self._lines.held = self._lines.held, None
            self._lines.write(held)


class _Lines(BaseJournalBackend):
    """The lines of the file. Optuna's own backend locks, syncs and reads the file anew at every line.

    `held`: those that wait to be written together; None where each is written at once.
    """

    def __init__(self, path: Path) -> None:
        self.held: list[str] | None = None
        self._path = path
        self._unread: Iterator[dict[str, Any]] = _read(path)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines, read next by the storage."""
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        self._unread = itertools.chain(self._unread, [json.loads(line) for line in lines])
        if self.held is None:
            self.write(lines)
        else:
            self.held += lines

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:  # noqa: ARG002
        """Those that the storage has not read yet; it is the only reader."""
        unread, self._unread = self._unread, iter(())
        return unread

    def write(self, lines: list[str]) -> None:
        """Durable when it returns."""
        if not lines:
            return
        with self._path.open("ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """All whole lines of the file; what follows them is cut off. It may not exist yet."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    yield from map(json.loads, content[:whole].splitlines())
