"""Keep a sweep's Optuna studies: in a journal file of its own, or in a database that the user names."""

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
    """Hide Optuna's log lines below warnings within the block: a line per trial would hide the sweep's own output."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


class Journal(JournalStorage):
    """Optuna's journal storage on a file that only this process writes to, which the sweep's lock ensures.

    All lines of an ask or tell are on disk, after one sync, when the call returns. An unfinished last line, left by a
    crash, is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._lines = _Lines(path)
        super().__init__(self._lines)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write what the block records to disk when the block ends; a crash within it may keep a first part."""
        self._lines.held = []
        try:
            yield
        finally:
            held, self._lines.held = self._lines.held, None
            self._lines.write(held)


class Database(RDBStorage):
    """Optuna's storage in a database, which a cluster may share; `url` is a URL of SQLAlchemy.

    Raises:
        BadInputError: the database can't be reached, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._shown = without_password(url)
        try:
            # pre-ping replaces a connection that the server has dropped
            super().__init__(url, engine_kwargs={"pool_pre_ping": True})
        except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError, ImportError) as error:
            raise BadInputError(
                "`storage`",
                self._shown,
                f"can't be used ({type(error).__name__})",
                expected="the SQLAlchemy URL of a running database whose driver is installed",
                next_step="correct the URL, or leave it out to keep the studies in a file",
            ) from None

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Make each call in this block durable when it returns.

        Raises:
            ConnectionError: the database is unavailable.
        """
        try:
            yield
        except (sqlalchemy.exc.OperationalError, StorageInternalError) as error:
            raise ConnectionError(errno.ECONNREFUSED, "Optuna's storage is unavailable", self._shown) from error


Storage = Journal | Database


class _Lines(BaseJournalBackend):
    """The lines of a journal file. Optuna's own backend locks, syncs and reads the whole file at every line.

    `held` collects lines to be written together; None while each line is written at once.
    """

    def __init__(self, path: Path) -> None:
        self.held: list[str] | None = None
        self._path = path
        self._unread: Iterator[dict[str, Any]] = _read(path)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append logs to the file, and keep them for the storage's next read."""
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        self._unread = itertools.chain(self._unread, [json.loads(line) for line in lines])
        if self.held is None:
            self.write(lines)
        else:
            self.held += lines

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:  # noqa: ARG002
        """Return the logs that the storage, the only reader, has not read yet."""
        unread, self._unread = self._unread, iter(())
        return unread

    def write(self, lines: list[str]) -> None:
        """Write lines to the file; they are on disk when the call returns."""
        if not lines:
            return
        with self._path.open("ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield all whole lines of the file and cut off an unfinished last one; yield nothing if the file is missing."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    yield from map(json.loads, content[:whole].splitlines())
