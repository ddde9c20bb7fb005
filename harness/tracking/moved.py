"""Update the artifact addresses in the database of a project folder that was renamed or copied."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse
from urllib.request import url2pathname

from harness.errors import BusyError
from harness.lock import busy
from harness.paths import WORK_FOLDER

if TYPE_CHECKING:
    from sqlalchemy import Connection

logger = logging.getLogger(__name__)
ARTIFACTS = "mlartifacts"  # the folder beside the database
# the columns of MLflow's tables with absolute addresses of artifacts
ADDRESSES = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def follow(connection: "Connection", folder: Path) -> None:
    """Replace old addresses in the SQLite database in `folder` with those of the artifacts beside the database.

    An address stays as it is if its files still exist there and are not beside the database: they are another
    project's, or a run wrote them there after the folder was moved.

    Raises:
        BusyError: a process that began before the move works on one of the runs.
    """
    here = (folder / ARTIFACTS).as_uri()
    query = f"SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE 'file:%/{ARTIFACTS}'"
    for (then,) in connection.exec_driver_sql(query).all():
        if then != here:
            _follow_from(connection, folder, then, here)


def _follow_from(connection: "Connection", folder: Path, then: str, here: str) -> None:
    stored = [
        (table, column, address, here + address.removeprefix(then))
        for table, column in ADDRESSES
        for (address,) in connection.exec_driver_sql(f"SELECT DISTINCT {column} FROM {table}").all()
        if address and address.startswith(f"{then}/")
    ]
    before = _path(then).parent
    if before.exists() and not any(_path(now).exists() for *_, now in stored):
        return  # the folder was not moved: somebody chose this place for the artifacts
    if process := busy(folder / WORK_FOLDER):
        raise BusyError(
            "folder",
            str(folder),
            f"was {str(before)!r} when its runs were stored, and {process} works on one of them",
            expected="no process at work when the folder is moved",
            next_step="wait for the process to end, or end it",
        )
    for table, column, address, now in stored:
        if _path(now).exists() or not _path(address).exists():
            change = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"
            connection.exec_driver_sql(change, (now, address))
    connection.exec_driver_sql(
        "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?", (here, then)
    )
    logger.warning("harness: this folder was %s; its runs' files are read from the new place now", before)


def _path(address: str) -> Path:
    return Path(url2pathname(urlparse(address).path))
