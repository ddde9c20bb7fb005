"""The sets of `data/`: found, and unpacked as the folder that a person opens with this version."""

import json
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.database import fresh_database

DATA = Path(__file__).parent / "data"
COMMITS = sorted(path.name.removesuffix(".tar.xz") for path in DATA.glob("*.tar.xz"))


@dataclass(frozen=True)
class Stored:
    """A folder that an earlier version wrote; `printed`: what its commands printed then, by what they showed."""

    folder: Path
    printed: dict[str, Any]

    def ids(self, outcome: str, stage: str) -> list[str]:
        """Return the ids of trials or finals of the completed sweep with this outcome."""
        rows = self.printed["leaderboard"]
        return [row["run_id"] for row in rows if (row["outcome"], row["stage"]) == (outcome, stage)]


def unpack(commit: str, folder: Path) -> Stored:
    """Unpack the files that the commit wrote into `folder`, which has another path than the original."""
    with tarfile.open(DATA / f"{commit}.tar.xz") as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)  # which Python 3.11.2 lacks
        packed.extractall(folder)
    _carry_over(folder / "mlflow.db")
    return Stored(folder, json.loads((folder / "printed.json").read_text(encoding="utf-8")))


def texts(commit: str, kind: str) -> list[tuple[str, str]]:
    """The canonical texts of configs of `runs` or `sweeps` that the commit had, and their hashes."""
    found = json.loads((DATA / f"{commit}.json").read_text(encoding="utf-8"))[kind]
    return [(each["text"], each["hash"]) for each in found]


def _carry_over(database: Path) -> None:
    """Put the rows into a database as the installed MLflow has it, which may be an older one or a newer one."""
    with tempfile.TemporaryDirectory() as folder:
        then = Path(folder, "then.db")
        shutil.move(database, then)
        database.write_bytes(fresh_database())
        with closing(sqlite3.connect(database)) as now:
            now.execute("ATTACH ? AS earlier", (str(then),))
            for table in sorted(_tables(now, "earlier") & _tables(now, "main") - {"alembic_version"}):
                columns = ", ".join(
                    f'"{each}"' for each in _columns(now, "earlier", table) if each in _columns(now, "main", table)
                )
                now.execute(
                    f'INSERT OR REPLACE INTO main."{table}" ({columns}) SELECT {columns} FROM earlier."{table}"'
                )
            now.commit()


def _tables(connection: sqlite3.Connection, schema: str) -> set[str]:
    return {name for (name,) in connection.execute(f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table'")}


def _columns(connection: sqlite3.Connection, schema: str, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f'PRAGMA {schema}.table_info("{table}")')]
