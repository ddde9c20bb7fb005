"""Where a sweep's Optuna studies are kept: in a journal file of its own, or in a database that the user names."""

import contextlib
import errno
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend

from harness.errors import BadInputError, without_password


@contextlib.contextmanager
def without_optunas_log() -> Iterator[None]:
    """Have Optuna log warnings alone within the block: a line for each trial would hide what a sweep says itself."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


class Journal(JournalStorage):
    """Optuna's journal storage on a file that no other process writes to; the sweep's lock sees to that.

    Every line of an ask or tell is on the disk when it returns, and synced once. A last line that a crash left
    unfinished is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._lines = _Lines(path)
        super().__init__(self._lines)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Make what is recorded in this block durable when it ends; a crash in it may keep a first part."""
        self._lines.held = []
        try:
            yield
        finally:
            held, self._lines.held = self._lines.held, None
            self._lines.write(held)


class Database(RDBStorage):
    """Optuna's storage in a database, such as one that a cluster shares: `url` is SQLAlchemy's.

    Raises:
        BadInputError: it can't be reached, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._shown = without_password(url)
        try:
            # a connection that the server has dropped since is made anew
            super().__init__(url, engine_kwargs={"pool_pre_ping": True})
        except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError, ImportError) as error:
            raise BadInputError(
                "`storage`",
                self._shown,
                f"can't be used ({type(error).__name__})",
                expected="a database URL of SQLAlchemy that is up, with its driver installed",
                next_step="correct it, or leave it out for a file",
            ) from None

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Make each call in this block durable when it returns.

        Raises:
            ConnectionError: the database is away.
        """
        try:
            yield
        except (sqlalchemy.exc.OperationalError, StorageInternalError) as error:
            raise ConnectionError(errno.ECONNREFUSED, "Optuna's storage is away", self._shown) from error


Storage = Journal | Database


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
        """Return the logs that the storage has not read yet; it is the only reader."""
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
