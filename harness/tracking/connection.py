"""Connect to the MLflow store of this process: its address, a client, and checks that it can be used."""

import contextlib
import functools
import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import BadInputError, without_password
from harness.paths import WORK_FOLDER, writable_folder
from harness.tracking.database import missing_file
from harness.tracking.defaults import import_mlflow, our_defaults, with_our_defaults
from harness.tracking.moved import ARTIFACTS, follow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

DELETED = "deleted"


def is_away(error: BaseException) -> bool:
    """Return whether a later try may succeed: the store can't be reached, is locked or is full."""
    import_mlflow()
    import sqlalchemy
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.error_code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
    return isinstance(error, OSError | sqlalchemy.exc.OperationalError)


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or MLflow's own default: `mlflow.db` in the current folder.

    Raises:
        BadInputError: the path of the current folder is not valid UTF-8.
    """
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        return given
    path = (Path.cwd() / "mlflow.db").as_posix()
    if path != path.encode(errors="replace").decode():
        raise BadInputError("folder", str(Path.cwd()), expected="a name in UTF-8", next_step="rename the folder")
    escaped = path.replace("%", "%25").replace("?", "%3F")
    if escaped == path:
        return f"sqlite:///{path}"
    # for an address that begins with sqlite:///, MLflow would make a folder with the escaped name
    return f"sqlite+pysqlite:///{escaped}"


@functools.cache
def connect(uri: str) -> "MlflowClient":
    """Return the MlflowClient for `uri`, the same object at every call; initialise its database under a file lock.

    Raises:
        BadInputError: the store can't be reached, or is of another version of MLflow.
        BusyError: the store's folder was moved while a process works on one of its runs.
    """
    with our_defaults:
        return with_our_defaults(_open(uri))


def connect_to_read() -> "MlflowClient":
    """Return the client of this process's store, as `connect` does, but create no store where there is none.

    Raises:
        BadInputError: the store does not exist, can't be reached, or is of another version of MLflow.
        BusyError: as in `connect`.
    """
    uri = tracking_uri()
    if missing_file(uri):
        raise BadInputError(
            "tracking store",
            without_password(uri),
            "does not exist",
            expected="a store with runs",
            next_step="correct or unset MLFLOW_TRACKING_URI"
            if is_given()
            else "run a sweep first, or go to the folder with your runs",
        )
    return connect(uri)


def is_given() -> bool:
    """Return whether the environment names the store."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI"))


def _open(uri: str) -> "MlflowClient":
    import sqlalchemy
    from filelock import FileLock
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.db_types import DATABASE_ENGINES

    kind = kind_of(uri)
    lock: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    try:
        if kind in DATABASE_ENGINES:
            lock = FileLock(writable_folder(WORK_FOLDER, "run in another folder") / "mlflow.lock", timeout=120)
        with lock:
            if kind in DATABASE_ENGINES:
                _require_answer(uri)
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
            if kind == "sqlite":
                _prepare_file(uri)
        return client
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, ImportError, OSError) as error:
        raise _unusable(uri, error) from None


def _require_answer(uri: str) -> None:
    """Raise SQLAlchemy's error at once if the database can't be opened; MLflow would retry for a minute."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    if kind_of(uri) != "sqlite" or Path(engine.url.database or "").exists():  # MLflow creates a missing SQLite file
        engine.connect().close()


def _prepare_file(uri: str) -> None:
    """Allow reads of the SQLite file during writes, and update its artifact addresses if the folder was moved."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    path = Path(engine.url.database or "").resolve()
    if path.parent == Path.cwd():  # a database elsewhere may have artifacts in many folders
        with engine.begin() as connection:
            follow(connection, path.parent)


def _unusable(uri: str, error: Exception) -> BadInputError:
    shown = without_password(uri)
    if "database schema" in str(error):
        installed = importlib.metadata.version("mlflow")
        return BadInputError(
            "tracking store",
            shown,
            "is of another version of MLflow",
            expected=f"that of {installed}",
            next_step=f"if the store is older, copy it and run `mlflow db upgrade '{shown}'`; else install a newer "
            "MLflow",
        )
    return BadInputError(
        "tracking store",
        shown,
        f"can't be reached ({type(error).__name__})",
        expected="the address of a running MLflow server, or the URL of a writable database",
        next_step="correct or unset MLFLOW_TRACKING_URI"
        if is_given()
        else "repair the file, or run in another folder",
    )


def kind_of(uri: str) -> str:
    """Return the SQL dialect of a database address, or the scheme of any other address."""
    return uri.split(":")[0].split("+")[0]


def require_experiment(experiment: "Experiment") -> None:
    """Raise BadInputError if an MLflow experiment was deleted."""
    if experiment.lifecycle_stage == DELETED:
        raise BadInputError(
            "experiment",
            experiment.name,
            "was deleted",
            expected="an existing experiment",
            next_step=f"restore experiment number {experiment.experiment_id} with MLflow's own "
            "`mlflow experiments restore`",
        )


def require_files_within_reach(location: str, uri: str) -> None:
    """Raise BadInputError if the files at `location` can only be read through a server, or are gone.

    `location` is the artifact address of an experiment or run, `uri` the address of the store.
    """
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_http_uri

    if location.startswith("mlflow-artifacts:") and not is_http_uri(uri):
        raise BadInputError(
            "tracking store",
            without_password(uri),
            "was written through an MLflow server, so only a server can read its files",
            expected="the address of a server for this store",
            next_step="start `mlflow server` for this store, and set MLFLOW_TRACKING_URI to its address",
        )
    if location.startswith("file:"):
        path = Path(local_file_uri_to_path(location))
        project = next((each.parent for each in (path, *path.parents) if each.name == ARTIFACTS), None)
        if project and not project.exists():
            raise BadInputError(
                "tracking store",
                without_password(uri),
                f"has files in the folder {str(project)!r}, which no longer exists",
                expected="the folder in which they were stored",
                next_step="if the folder was renamed, make a link with the old name",
            )
