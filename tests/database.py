"""Fresh MLflow databases, as copies of one that MLflow made: to migrate an empty one takes it a second and a half."""

import functools
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock


@functools.cache
def fresh_database() -> bytes:
    """Return the content of a new MLflow database, made at the first call."""
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        engine = sqlalchemy.create_engine(f"sqlite:///{path}")
        _initialize_tables(engine)
        engine.dispose()
        return path.read_bytes()


@contextmanager
def copies_of(content: bytes) -> Iterator[None]:
    """Fill empty SQLite databases with copies of `content` in this block; other databases are migrated as usual."""
    from mlflow.store.db import utils

    migrate = utils._initialize_tables

    def copy(engine: Any) -> None:
        if engine.dialect.name != "sqlite":
            migrate(engine)
            return
        with closing(sqlite3.connect(":memory:")) as whole, closing(sqlite3.connect(engine.url.database)) as empty:
            whole.deserialize(content)
            whole.backup(empty)

    with mock.patch.object(utils, "_initialize_tables", copy):
        yield
