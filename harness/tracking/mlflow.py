"""MLflow at the edge: the only module that writes runs, and an in-memory tracker at the same seam."""

import contextlib
import functools
import importlib.metadata
import importlib.util
import json
import logging
import math
import os
import tempfile
import time
import uuid
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import BadInputError, without_password
from harness.lock import this_process
from harness.paths import WORK_FOLDER, writable_folder
from harness.records import DEFINITION_ARTIFACT, METRIC_NAMES, DatasetInput, Outcome, Stage, Tag
from harness.tracking.moved import ARTIFACTS, follow

if TYPE_CHECKING:
    from harness.training.data import Splits

logger = logging.getLogger(__name__)
DELETED = "deleted"
VIEW = "mlflow.sharedViewState."  # begins the name of an experiment's tag, which the UI reads
AT_ONCE = 50  # runs whose metrics are asked for together: their ids must fit into an address
MOST_POINTS = 25_000  # that a server gives in one answer; it leaves out the others without a word
STATUS = {
    Outcome.COMPLETED: "FINISHED",
    Outcome.PRUNED: "FINISHED",
    Outcome.DIVERGED: "FAILED",
    Outcome.FAILED: "FAILED",
    Outcome.KILLED: "KILLED",
}


class Tracker(Protocol):
    """Where runs are recorded and found again. What is written is durable when the call returns."""

    def start_run(self, experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Open a run and return its id."""

    def reopen_run(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Mark a run as running again. `params` are logged again, because a crash may have come before they were."""

    def last_step(self, run_id: str) -> int:
        """The last step of a run's metrics, 0 where it has none."""

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record on what data a run is; what is recorded already stays."""

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics at a step (the epoch), in one call."""

    def log_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Store a file under the run. `name` may hold folders, separated by slashes."""

    def read_artifact(self, run_id: str, name: str) -> bytes:
        """The content of such a file."""

    def log_model(self, run_id: str, trained_by: str, data: "Splits") -> None:
        """Have the run, a sweep, show the model that one of its finals trained on that data; once."""

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags."""

    def end_run(self, run_id: str, outcome: Outcome) -> None:
        """Close a run with its outcome and the matching status."""

    def find_run(self, run_id: str) -> "FoundRun":
        """The run of that id; BadInputError where there is none."""

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list["FoundRun"]:
        """The runs with all these tags; of sweeps, the newest first."""

    def latest_sequence(self) -> int:
        """The sequence number of the sweep that was started last; 0 where there is none."""


@dataclass(frozen=True)
class FoundRun:
    """A run as a search returns it: `metrics` are the last ones."""

    run_id: str
    tags: dict[str, str]
    metrics: dict[str, float]


class MlflowTracker:
    """Runs in an MLflow store: `mlflow.db` in the current folder, or wherever MLFLOW_TRACKING_URI points."""

    def __init__(self) -> None:
        self.uri = tracking_uri()
        self._client = connect(self.uri)
        self._experiments: dict[str, str] = {}
        self._monitors: dict[str, Any] = {}
        self._monitored = monitors_system()

    def start_run(self, experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Open a run and return its id."""
        tags = dict(tags) | _process_tags(tags)
        run = self._client.create_run(self._experiment_id(experiment), run_name=name, tags=tags)
        run_id: str = run.info.run_id
        self._log_params(run_id, params)
        if tags.get(Tag.STAGE) == Stage.SWEEP:
            self._show_charts(run_id, run.info.experiment_id, tags.get(Tag.NOTE, ""))
        if self._monitored:
            self._monitor(run_id, tags)
        return run_id

    def reopen_run(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Mark a run as running again. `params` are logged again, because a crash may have come before they were."""
        self._client.update_run(run_id, status="RUNNING")
        tags = self._client.get_run(run_id).data.tags
        self.set_tags(run_id, _process_tags(tags))
        self._log_params(run_id, params)
        if self._monitored:
            self._monitor(run_id, tags)

    def last_step(self, run_id: str) -> int:
        """The last step of a run's metrics, 0 where it has none."""
        history = self._client.get_metric_history(run_id, METRIC_NAMES["train_loss"])
        return max((point.step for point in history), default=0)

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record on what data a run is; what is recorded already stays."""
        from mlflow.exceptions import MlflowException

        of_mlflow = [_as_mlflow_input(each) for each in inputs]
        try:
            self._client.log_inputs(run_id, of_mlflow)
        except MlflowException as error:
            if is_away(error):
                raise
            self._client.log_inputs(run_id, of_mlflow)  # another process was the first to record the same data

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics at a step (the epoch), in one call."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(run_id, metrics=[Metric(name, value, now, step) for name, value in metrics.items()])

    def log_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Store a file under the run. `name` may hold folders, separated by slashes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(name).name
            path.write_bytes(content)
            parent = Path(name).parent.as_posix()
            self._client.log_artifact(run_id, str(path), None if parent == "." else parent)

    def read_artifact(self, run_id: str, name: str) -> bytes:
        """The content of such a file."""
        return read_artifact(run_id, name)

    def log_model(self, run_id: str, trained_by: str, data: "Splits") -> None:
        """Have the run, a sweep, show the model that one of its finals trained on that data; once.

        A model that can't be exported, or a store that takes none, costs the sweep a warning alone.
        """
        from harness.export import log_model

        try:
            log_model(self._client, run_id, trained_by, data)
        except Exception as error:
            if is_away(error):
                raise
            logger.warning("harness: sweep %s has no model: %s", run_id, without_password(str(error)))

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags."""
        from mlflow.entities import RunTag

        self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def end_run(self, run_id: str, outcome: Outcome) -> None:
        """Close a run with its outcome and the matching status."""
        if run_id in self._monitors:
            self._monitors.pop(run_id).finish()
        self.set_tags(run_id, {Tag.OUTCOME: outcome.value})
        self._client.set_terminated(run_id, STATUS[outcome])

    def find_run(self, run_id: str) -> FoundRun:
        """The run of that id; BadInputError where there is none, or it was deleted."""
        run = read_run(run_id)
        if run.info.lifecycle_stage == DELETED:
            _require_experiment(self._client.get_experiment(run.info.experiment_id))
            raise BadInputError(
                f"run {run_id!r} was deleted: expected one that is there; "
                f"restore it with `mlflow runs restore --run-id {run_id}`"
            )
        return FoundRun(run.info.run_id, run.data.tags, run.data.metrics)

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list[FoundRun]:
        """The runs with all these tags; of sweeps, the newest first."""
        return [
            FoundRun(run.info.run_id, run.data.tags, run.data.metrics)
            for run in _search(self._client, [self._experiment_id(experiment)], _condition(tags))
        ]

    def latest_sequence(self) -> int:
        """The sequence number of the sweep that was started last; 0 where there is none."""
        latest = next(_sweeps(self._client), None)
        return int(latest.data.tags.get(Tag.SEQUENCE, 0)) if latest else 0

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        self._client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])

    def _experiment_id(self, name: str) -> str:
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                # in direct SQLite mode MLflow resolves artifacts against the working folder of each reader
                location = (Path.cwd() / ARTIFACTS).as_uri() if self.uri.startswith("sqlite") else None
                # without its kind the UI opens an experiment in its view for language models
                kind = {"mlflow.experimentKind": "custom_model_development"}
                self._experiments[name] = self._client.create_experiment(name, location, kind)
            else:
                _require_experiment(found)
                _require_files_within_reach(found.artifact_location, self.uri)
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _show_charts(self, sweep_id: str, experiment_id: str, note: str) -> None:
        """Have the UI show a sweep's finals as charts by optimizer, as it shares a view itself; and link to them."""
        self._client.set_experiment_tag(experiment_id, VIEW + sweep_id, json.dumps(_charts(sweep_id)))
        link = f"[The finals as charts, a line for each optimizer]({charts_route(experiment_id, sweep_id)})"
        self.set_tags(sweep_id, {Tag.NOTE: f"{note}\n\n{link}"})

    def _monitor(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Record the machine's own metrics with a single run or a sweep; trials and finals share the machine."""
        if run_id in self._monitors or tags.get(Tag.STAGE) not in (Stage.RUN, Stage.SWEEP):
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitors[run_id] = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=self.uri)
        self._monitors[run_id].start()


@dataclass
class MemoryRun:
    """A run as the in-memory tracker keeps it. `history` maps a step to its metrics."""

    experiment: str
    name: str
    params: dict[str, Any]
    tags: dict[str, str]
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    inputs: tuple[DatasetInput, ...] = ()
    trained_by: str | None = None  # of a sweep's model
    outcome: Outcome | None = None


class MemoryTracker:
    """Runs in a dictionary, for callers that want the numbers and no store."""

    def __init__(self) -> None:
        self.runs: dict[str, MemoryRun] = {}

    def start_run(self, experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Open a run and return its id."""
        run_id = uuid.uuid4().hex
        self.runs[run_id] = MemoryRun(experiment, name, dict(params), dict(tags))
        return run_id

    def reopen_run(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Mark a run as running again. `params` are logged again, because a crash may have come before they were."""
        self.runs[run_id].outcome = None
        self.runs[run_id].params.update(params)

    def last_step(self, run_id: str) -> int:
        """The last step of a run's metrics, 0 where it has none."""
        return max(self.runs[run_id].history, default=0)

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record on what data a run is; what is recorded already stays."""
        self.runs[run_id].inputs = tuple(dict.fromkeys([*self.runs[run_id].inputs, *inputs]))

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics at a step; a step has its metrics once."""
        if step in self.runs[run_id].history:
            raise ValueError(f"run {run_id!r} has metrics at step {step} already")
        self.runs[run_id].history[step] = dict(metrics)

    def log_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Store a file under the run."""
        self.runs[run_id].artifacts[name] = content

    def read_artifact(self, run_id: str, name: str) -> bytes:
        """The content of such a file."""
        return self.runs[run_id].artifacts[name]

    def log_model(self, run_id: str, trained_by: str, data: "Splits") -> None:  # noqa: ARG002
        """Have the run show the model of another."""
        self.runs[run_id].trained_by = trained_by

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags."""
        self.runs[run_id].tags.update(tags)

    def end_run(self, run_id: str, outcome: Outcome) -> None:
        """Close a run with its outcome."""
        self.runs[run_id].outcome = outcome
        self.runs[run_id].tags[Tag.OUTCOME] = outcome.value

    def find_run(self, run_id: str) -> FoundRun:
        """The run of that id; BadInputError where there is none."""
        if run_id not in self.runs:
            raise BadInputError(f"run {run_id!r} is unknown: an id of this tracker's runs is allowed")
        run = self.runs[run_id]
        newest_first = (run.history[step] for step in sorted(run.history, reverse=True))
        return FoundRun(run_id, dict(run.tags), dict(ChainMap(*newest_first)))

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list[FoundRun]:
        """The runs with all these tags; of sweeps, the newest first."""
        return [
            self.find_run(run_id)
            for run_id, run in list(self.runs.items())[::-1]  # a copy: an outbox may be writing
            if run.experiment == experiment and tags.items() <= run.tags.items()
        ]

    def latest_sequence(self) -> int:
        """The sequence number of the sweep that was started last; 0 where there is none."""
        return max((int(run.tags.get(Tag.SEQUENCE, 0)) for run in self.runs.values()), default=0)


def charts_route(experiment_id: str, sweep_id: str) -> str:
    """The page of MLflow's UI with a sweep's finals as charts, a line for each optimizer."""
    return f"#/experiments/{experiment_id}/runs?compareRunsMode=CHART&viewStateShareKey={sweep_id}"


def latest_charts() -> str | None:
    """Those of the sweep that was started last; None where there is none."""
    client = connect(tracking_uri())
    sweep = next(_sweeps(client), None)
    if sweep is None or VIEW + sweep.info.run_id not in client.get_experiment(sweep.info.experiment_id).tags:
        return None
    return charts_route(sweep.info.experiment_id, sweep.info.run_id)


def _charts(sweep_id: str) -> dict[str, Any]:
    """What the UI keeps of a view of runs: here of the winners' finals, grouped by optimizer."""
    tags = {Tag.SWEEP_ID: sweep_id, Tag.STAGE: Stage.FINAL, Tag.SUPERSEDED: "false"}
    return {
        "searchFilter": _condition(tags),
        # ordered by date, the finals would come with their sweep
        "orderByKey": f"metrics.`{METRIC_NAMES['validation_accuracy']}`",
        "orderByAsc": False,
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": Tag.OPTIMIZER}],
        },
        "runsHiddenMode": "SHOW_ALL",
    }


def _condition(tags: Mapping[str, str]) -> str:
    """Of the runs with all these tags, in MLflow's language."""
    return " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())


def monitors_system() -> bool:
    """Whether the machine's own metrics are asked for, by MLflow's own switch.

    Raises:
        BadInputError: what the environment says of them is no value, or what reads them is not installed.
    """
    from mlflow import environment_variables as of_mlflow

    switch = of_mlflow.MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
    interval = of_mlflow.MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL
    for each, allowed in ((switch, "true or false"), (interval, "a number of seconds")):
        try:
            each.get()
        except ValueError:
            raise BadInputError(
                f"{each.name} {each.get_raw()!r}: {allowed} is allowed; correct or unset it"
            ) from None
    if switch.get() and importlib.util.find_spec("psutil") is None:
        raise BadInputError(
            f"{switch.name} {switch.get_raw()!r}: false is allowed where psutil is not installed; "
            "`pip install 'optimizer-harness[system]'`, or unset it"
        )
    return bool(switch.get())


def _as_mlflow_input(data: DatasetInput) -> Any:  # noqa: ANN401
    from mlflow.entities import Dataset, InputTag
    from mlflow.entities import DatasetInput as MlflowInput
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    if isinstance(data.source, Path):
        kind, source = "local", json.dumps({"uri": data.source.as_posix()})
    else:
        kind, source = "code", json.dumps({"tags": {Tag.SOURCE: data.source}})
    profile = json.dumps({"images": data.images})
    dataset = Dataset(data.name, data.digest, kind, source, profile=profile)
    return MlflowInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, data.use)])


def is_away(error: BaseException) -> bool:
    """Whether the store may answer later: it can't be reached, is locked or has no room now."""
    import sqlalchemy
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.error_code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
    return isinstance(error, OSError | sqlalchemy.exc.OperationalError)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or MLflow's own default: `mlflow.db` in the current folder.

    Raises:
        BadInputError: that folder's name is no text.
    """
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        return given
    path = (Path.cwd() / "mlflow.db").as_posix()
    if path != path.encode(errors="replace").decode():
        raise BadInputError(f"folder {str(Path.cwd())!r}: a name in UTF-8 is expected; rename it")
    escaped = path.replace("%", "%25").replace("?", "%3F")
    if escaped == path:
        return f"sqlite:///{path}"
    # of an address that begins with sqlite:/// MLflow would make the folder, named as it is escaped
    return f"sqlite+pysqlite:///{escaped}"


@functools.cache
def connect(uri: str) -> Any:  # noqa: ANN401
    """An MlflowClient on `uri`, the same one at every call; its database is initialised under a file lock.

    Raises:
        BadInputError: the store can't be reached, is of another version of MLflow, or is in a folder that was moved
            while a process is at one of its runs.
    """
    # MLflow logs a line for each of the migrations of a fresh database, when it begins to look at the system, and the
    # traceback of an error that it raises
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    import sqlalchemy
    from filelock import FileLock
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.db_types import DATABASE_ENGINES
    from mlflow.tracking import MlflowClient

    kind = _kind(uri)
    lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
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
    """Raise what SQLAlchemy does where the database can't be opened, which MLflow itself would try for a minute."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    if _kind(uri) != "sqlite" or Path(engine.url.database or "").exists():  # or it is made, with its folder
        engine.connect().close()
    engine.dispose()


def _prepare_file(uri: str) -> None:
    """Let SQLite's file be read while it is written, and have it name the artifacts where they are now."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    path = Path(engine.url.database or "").resolve()
    if path.parent == Path.cwd():  # the folder's own database; the artifacts of another may be in many folders
        with engine.begin() as connection:
            follow(connection, path.parent)
    engine.dispose()


def _unusable(uri: str, error: Exception) -> BadInputError:
    shown = without_password(uri)
    if "database schema" in str(error):
        installed = importlib.metadata.version("mlflow")
        return BadInputError(
            f"tracking store {shown!r} is of another version of MLflow: expected that of {installed}; "
            f"where it is older, keep a copy and say `mlflow db upgrade '{shown}'`; else install the newer MLflow"
        )
    given = "MLFLOW_TRACKING_URI" in os.environ
    return BadInputError(
        f"tracking store {shown!r} can't be reached ({type(error).__name__}): "
        "allowed: an MLflow server's address or a database URL that is up and writable; "
        f"{'correct or unset MLFLOW_TRACKING_URI' if given else 'see to that file, or run in another folder'}"
    )


def _kind(uri: str) -> str:
    """Of a database's address its dialect, else the scheme."""
    return uri.split(":")[0].split("+")[0]


def _process_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Who is at a single run or a sweep, and where; trials and finals are their sweep's."""
    if tags.get(Tag.STAGE) not in (Stage.RUN, Stage.SWEEP):
        return {}
    return {Tag.PROCESS: this_process(), Tag.FOLDER: str(Path.cwd())}


def read_run(run_id: str) -> Any:  # noqa: ANN401
    """The MLflow run of that id.

    Raises:
        BadInputError: there is none.
    """
    from mlflow.exceptions import MlflowException

    try:
        return connect(tracking_uri()).get_run(run_id)
    except MlflowException:
        raise BadInputError(
            f"run {run_id!r} is unknown in {without_password(tracking_uri())!r}: "
            "a run id of this store is allowed; `harness ui` shows them"
        ) from None


def _require_experiment(experiment: Any) -> None:  # noqa: ANN401
    if experiment.lifecycle_stage == DELETED:
        raise BadInputError(
            f"experiment {experiment.name!r} was deleted: expected one that is there; "
            f"restore it with `mlflow experiments restore --experiment-id {experiment.experiment_id}`"
        )


def _require_files_within_reach(location: str, uri: str) -> None:
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_http_uri

    if location.startswith("mlflow-artifacts:") and not is_http_uri(uri):
        raise BadInputError(
            f"tracking store {without_password(uri)!r} was written through an MLflow server, which has its files: "
            "the address of a server on it is allowed; set MLFLOW_TRACKING_URI to one (`mlflow server`)"
        )
    if location.startswith("file:"):
        path = Path(local_file_uri_to_path(location))
        project = next((each.parent for each in (path, *path.parents) if each.name == ARTIFACTS), None)
        if project and not project.exists():
            raise BadInputError(
                f"tracking store {without_password(uri)!r} has files in the folder {str(project)!r}, which is gone: "
                "expected where they were stored; if it was renamed, make a link to it of that name"
            )


def read_artifact(run_id: str, name: str) -> bytes:
    """The content of a run's artifact.

    Raises:
        BadInputError: the run or the artifact is not there, or only through a server.
    """
    from mlflow.exceptions import MlflowException

    client = _connect_to_files(run_id)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Path(client.download_artifacts(run_id, name, folder)).read_bytes()
        except (MlflowException, OSError):
            raise BadInputError(
                f"run {run_id!r} has no {name!r}: a run that has ended is allowed; choose another run"
            ) from None


def find_artifact(run_id: str, name: str) -> bytes | None:
    """The content of a run's artifact; None where the run has none of that name.

    Raises:
        BadInputError: there is no such run, or its artifacts are only to be had through a server.
    """
    client = _connect_to_files(run_id)
    parent = Path(name).parent.as_posix()
    beside = client.list_artifacts(run_id, None if parent == "." else parent)
    return read_artifact(run_id, name) if any(each.path == name and not each.is_dir for each in beside) else None


def _connect_to_files(run_id: str) -> Any:  # noqa: ANN401
    _require_files_within_reach(read_run(run_id).info.artifact_uri, tracking_uri())
    return connect(tracking_uri())


def json_bytes(value: Any) -> bytes:  # noqa: ANN401
    """Indented JSON for an artifact."""
    return json.dumps(value, indent=2, sort_keys=True).encode()


Point = tuple[str, str, int, float]  # run id, name of the metric, step, value


@dataclass(frozen=True)
class TrackedRun:
    """A run as MLflow recorded it. `history` maps a metric's name to its values by step."""

    run_id: str
    experiment: str
    name: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    history: dict[str, dict[int, float]]


def read_tracked_run(run_id: str) -> TrackedRun:
    """All that MLflow recorded of a run.

    Raises:
        BadInputError: there is none of that id.
    """
    run = read_run(run_id)
    client = connect(tracking_uri())
    (tracked,) = _tracked(client, [run], client.get_experiment(run.info.experiment_id).name)
    return tracked


def latest_sweep() -> str:
    """The id of the sweep that was started last.

    Raises:
        BadInputError: there is none.
    """
    found = next(_sweeps(connect(tracking_uri())), None)
    if found is None:
        raise BadInputError(
            f"no sweep in {without_password(tracking_uri())!r}: a store with a sweep is allowed; "
            "`harness sweep optimizers` makes one"
        )
    run_id: str = found.info.run_id
    return run_id


def find_running() -> list[TrackedRun]:
    """The runs, sweeps, trials and finals that MLflow shows as running, without their metrics.

    Raises:
        BadInputError: the store can't be reached.
    """
    found = _every(connect(tracking_uri()), "attributes.status = 'RUNNING'")
    return [run for run in found if Tag.STAGE in run.tags]


def find_sweeps(experiment: str) -> list[TrackedRun]:
    """The sweeps of that experiment, without their metrics, the newest first."""
    found = _every(connect(tracking_uri()), _condition({Tag.STAGE: Stage.SWEEP}))
    return [sweep for sweep in found if sweep.experiment == experiment]


def _every(client: Any, condition: str) -> list[TrackedRun]:  # noqa: ANN401
    names = {each.experiment_id: each.name for each in client.search_experiments()}
    return [_without_metrics(run, names[run.info.experiment_id]) for run in _search(client, [*names], condition)]


def read_sweep(sweep_id: str) -> tuple[TrackedRun, list[TrackedRun]]:
    """A sweep's own run, and its trials and finals, each by number.

    Raises:
        BadInputError: no run has that id, or it is not a sweep.
    """
    sweep = read_tracked_run(sweep_id)
    if sweep.tags.get(Tag.STAGE) != Stage.SWEEP:
        part = Tag.SWEEP_ID in sweep.tags
        is_a = f", but a {sweep.tags[Tag.STAGE]} of the sweep {sweep.tags[Tag.SWEEP_ID]!r}" if part else ""
        raise BadInputError(
            f"run {sweep_id!r} is not a sweep{is_a}: a sweep's id is allowed; "
            f"{'name that one' if part else '`harness ui` shows them'}"
        )
    client = connect(tracking_uri())
    experiment = client.get_experiment_by_name(sweep.experiment).experiment_id
    found = list(_search(client, [experiment], _condition({Tag.SWEEP_ID: sweep_id})))
    children = _tracked(client, found, sweep.experiment)
    return sweep, sorted(children, key=lambda run: (run.tags[Tag.STAGE] == Stage.FINAL, int(run.tags[Tag.NUMBER])))


def read_definition(sweep_id: str) -> dict[str, Any]:
    """The definition of a sweep, as plain values.

    Raises:
        BadInputError: there is no such sweep.
    """
    definition: dict[str, Any] = json.loads(read_artifact(sweep_id, DEFINITION_ARTIFACT))
    return definition


def _sweeps(client: Any) -> Iterator[Any]:  # noqa: ANN401
    """The sweeps of all experiments, the newest first."""
    experiments = [each.experiment_id for each in client.search_experiments()]
    return _search(client, experiments, _condition({Tag.STAGE: Stage.SWEEP}))


def _search(client: Any, experiments: list[str], condition: str) -> Iterator[Any]:  # noqa: ANN401
    """The runs of that condition, the one of the highest sequence number first, page after page."""
    order = [f"tags.`{Tag.SEQUENCE}` DESC"]  # not by time: a clock may be set back
    token = None
    while True:
        page = client.search_runs(experiments, condition, order_by=order, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _tracked(client: Any, runs: Sequence[Any], experiment: str) -> list[TrackedRun]:  # noqa: ANN401
    histories: dict[str, dict[str, dict[int, float]]] = {
        run.info.run_id: {name: {} for name in run.data.metrics} for run in runs
    }
    for run_id, name, step, value in _points(client, runs):
        histories[run_id].setdefault(name, {})[step] = value
    return [replace(_without_metrics(run, experiment), history=histories[run.info.run_id]) for run in runs]


def _without_metrics(run: Any, experiment: str) -> TrackedRun:  # noqa: ANN401
    return TrackedRun(
        run_id=run.info.run_id,
        experiment=experiment,
        name=run.info.run_name,
        status=run.info.status,
        tags=run.data.tags,
        params=run.data.params,
        history={},
    )


def _points(client: Any, runs: Sequence[Any]) -> Iterator[Point]:  # noqa: ANN401
    """All values of the runs' metrics, those of a run and metric in the order of MLflow's own history.

    MLflow's client gives the history of one run and metric at a time, which for thousands of runs takes minutes. So a
    database is asked itself, and a server as its own pages ask it.
    """
    from mlflow.store.db.db_types import DATABASE_ENGINES

    batches = [runs[first : first + AT_ONCE] for first in range(0, len(runs), AT_ONCE)]
    if _kind(client.tracking_uri) in DATABASE_ENGINES:
        yield from _points_in_database(client.tracking_uri, batches)
        return
    for batch in batches:
        for name in sorted({name for run in batch for name in run.data.metrics}):
            run_ids = [run.info.run_id for run in batch if name in run.data.metrics]
            points = _points_from_server(client.tracking_uri, run_ids, name)
            if points is None:
                histories = ((run_id, client.get_metric_history(run_id, name)) for run_id in run_ids)
                points = [(run_id, name, each.step, each.value) for run_id, history in histories for each in history]
            yield from points


def _points_in_database(uri: str, batches: Iterable[Sequence[Any]]) -> Iterator[Point]:
    """The same from MLflow's table: a row of it made into MLflow's objects would take ten times as long."""
    import sqlalchemy
    from mlflow.store.tracking.dbmodels.models import SqlMetric

    query = sqlalchemy.select(SqlMetric.run_uuid, SqlMetric.key, SqlMetric.step, SqlMetric.value, SqlMetric.is_nan)
    query = query.order_by(SqlMetric.timestamp, SqlMetric.step, SqlMetric.value)
    with sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool).connect() as connection:
        for batch in batches:
            of_batch = query.where(SqlMetric.run_uuid.in_([run.info.run_id for run in batch]))
            for run_id, name, step, value, is_nan in connection.execute(of_batch):
                yield run_id, name, step, math.nan if is_nan else value


def _points_from_server(uri: str, run_ids: Sequence[str], name: str) -> list[Point] | None:
    """The runs' values of a metric in one answer; None where there is no such server, or its answer may lack some."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request
    from mlflow.utils.uri import is_http_uri

    if not is_http_uri(uri):
        return None
    response = http_request(
        get_default_host_creds(uri),
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
        "GET",
        params={"run_id": run_ids, "metric_key": name, "max_results": MOST_POINTS},
        raise_on_status=False,
    )
    if response.status_code != 200:
        return None
    found = response.json()["metrics"]
    if len(found) >= MOST_POINTS:
        return None
    return [(each["run_id"], name, each["step"], each["value"]) for each in found]
