"""Read runs from MLflow's SQLite file without MLflow, whose import takes longer than reading a sweep.

The tables are internal to MLflow and may change in any version. Where they differ from what is expected here, the
functions return None, and the caller asks MLflow's client.
"""

import contextlib
import math
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.records import Stage, Tag
from harness.tracking.moved import ARTIFACTS
from harness.tracking.tracker import TrackedRun

AT_ONCE = 500  # ids per query; older versions of SQLite take 999 parameters at most
PLAIN, OURS = "sqlite:///", "sqlite+pysqlite:///"
MEMORY = ":memory:"
ESCAPES = {"%3F": "?", "%25": "%"}  # as `connection.tracking_uri` escapes these characters
ACTIVE = "runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active'"
# ordered as a search by MLflow's client: the highest sequence number first, then the newest run
RUNS = f"""
SELECT runs.run_uuid, runs.name, runs.status, runs.artifact_uri, experiments.name
FROM runs JOIN experiments ON experiments.experiment_id = runs.experiment_id
LEFT JOIN tags AS sequence ON sequence.run_uuid = runs.run_uuid AND sequence.key = '{Tag.SEQUENCE}'
WHERE {{condition}}
ORDER BY sequence.value IS NULL, sequence.value DESC, runs.start_time DESC, runs.run_uuid
"""
RUN_NAME = "mlflow.runName"  # the tag with a run's name, if the name's column is empty
TAGGED = "runs.run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)"
POINTS = """
SELECT run_uuid, key, step, value, is_nan FROM metrics WHERE run_uuid IN ({ids}) AND key NOT IN ({names})
ORDER BY timestamp, step, value
"""


@dataclass
class _Row:
    """A run, assembled from several tables."""

    run_id: str
    name: str | None
    status: str
    location: str | None
    experiment: str
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    history: dict[str, dict[int, float]] = field(default_factory=dict)

    def as_tracked(self) -> TrackedRun:
        """Return the run in the form in which it is also read through MLflow's client."""
        return TrackedRun(
            run_id=self.run_id,
            experiment=self.experiment,
            name=self.name or self.tags.get(RUN_NAME, ""),
            status=self.status,
            tags=self.tags,
            params=self.params,
            history=self.history,
            location=self.location or "",
        )


def database_file(uri: str) -> Path | None:
    """Return the file that a store's address names; None if it is missing, or the address names no plain file."""
    path = _named(uri)
    return path if path and path.is_file() else None


def missing_file(uri: str) -> Path | None:
    """Return the file that a store's address names if nothing is there; None if the address names no plain file."""
    path = _named(uri)
    return path if path and not path.exists() else None


def _named(uri: str) -> Path | None:
    """Return the path in a store's address, whether it exists or not; None if the address names no plain file."""
    kind = next((each for each in (PLAIN, OURS) if uri.startswith(each)), None)
    if kind is None:
        return None
    text = uri.removeprefix(kind)
    if kind == OURS:
        for escape, character in ESCAPES.items():
            text = text.replace(escape, character)
    elif "%" in text or "?" in text:  # options or escapes, which only SQLAlchemy can parse
        return None
    return Path(text) if text and text != MEMORY else None


def run_of(path: Path, run_id: str, metrics: bool = True) -> TrackedRun | None:
    """Return the run of that id, with or without its metrics; None if MLflow's client must be asked."""
    found = _read(path, "runs.run_uuid = ?", (run_id,), metrics_but=() if metrics else None)
    return found[0] if found else None


def children_of(path: Path, sweep_id: str, metrics_but: Mapping[bool, Collection[str]]) -> list[TrackedRun] | None:
    """Return the trials and finals of a sweep; None if MLflow's client must be asked.

    `metrics_but` has the names of the metrics to leave out: of trials under False, of finals under True.
    """
    found: list[TrackedRun] = []
    for is_final, left_out in metrics_but.items():
        condition = (
            f"runs.lifecycle_stage = 'active' AND {TAGGED} AND {'' if is_final else 'NOT '}{TAGGED} "
            "AND runs.experiment_id = (SELECT experiment_id FROM runs WHERE run_uuid = ?)"
        )
        values = (Tag.SWEEP_ID, sweep_id, Tag.STAGE, Stage.FINAL, sweep_id)
        runs = _read(path, condition, values, metrics_but=left_out)
        if runs is None:
            return None
        found += runs
    return found


def sweeps(path: Path) -> list[TrackedRun] | None:
    """Return all sweeps without their metrics, the newest first; None if MLflow's client must be asked."""
    return _read(path, f"{ACTIVE} AND {TAGGED}", (Tag.STAGE, Stage.SWEEP))


def running(path: Path) -> list[TrackedRun] | None:
    """Return the runs with status RUNNING, without their metrics; None if MLflow's client must be asked."""
    return _read(path, f"{ACTIVE} AND runs.status = 'RUNNING'", ())


def _read(
    path: Path, condition: str, values: Sequence[str], metrics_but: Collection[str] | None = None
) -> list[TrackedRun] | None:
    """Return the runs that meet the condition.

    Their metrics, but for those named in `metrics_but`, are read too; none are read if it is None.
    """
    try:
        with contextlib.closing(_open(path)) as database:
            database.execute("BEGIN")  # read all tables in one consistent state
            if _was_moved(database, path):
                return None
            rows = {row[0]: _Row(*row) for row in database.execute(RUNS.format(condition=condition), values)}
            _add_texts(database, rows)
            if metrics_but is not None:
                _add_metrics(database, rows, metrics_but)
    except (sqlite3.Error, KeyError, TypeError, ValueError):
        return None
    return [each.as_tracked() for each in rows.values()]


def _open(path: Path) -> sqlite3.Connection:
    """Open the database file; do not create one if it is missing."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)


def _was_moved(database: sqlite3.Connection, path: Path) -> bool:
    """Tell whether the folder was renamed or copied: then `connection` must update the artifact addresses first."""
    folder = path.resolve().parent
    if folder != Path.cwd():  # `connection` updates the current folder's database alone
        return False
    elsewhere = "SELECT 1 FROM experiments WHERE artifact_location LIKE ? AND artifact_location <> ? LIMIT 1"
    names = (f"file:%/{ARTIFACTS}", (folder / ARTIFACTS).as_uri())
    return database.execute(elsewhere, names).fetchone() is not None


def _add_texts(database: sqlite3.Connection, rows: Mapping[str, _Row]) -> None:
    for ids in _batches(rows):
        for table in ("tags", "params"):
            question = f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN ({_places(ids)})"
            for run_id, key, value in database.execute(question, ids):
                getattr(rows[run_id], table)[key] = value


def _add_metrics(database: sqlite3.Connection, rows: Mapping[str, _Row], left_out: Collection[str]) -> None:
    names = list(left_out)
    for ids in _batches(rows):
        question = POINTS.format(ids=_places(ids), names=_places(names))
        for run_id, name, step, value, is_nan in database.execute(question, [*ids, *names]):
            rows[run_id].history.setdefault(name, {})[step] = math.nan if is_nan else value


def _batches(rows: Mapping[str, _Row]) -> Iterator[list[str]]:
    ids = list(rows)
    for first in range(0, len(ids), AT_ONCE):
        yield ids[first : first + AT_ONCE]


def _places(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
