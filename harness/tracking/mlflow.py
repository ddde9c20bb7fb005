"""Write runs to an MLflow store; no other module writes them."""

import contextlib
import importlib.util
import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import BadInputError, without_password
from harness.lock import this_process
from harness.records import DatasetInput, MetricRow, Outcome, Stage, Tag
from harness.tracking.charts import routes, views
from harness.tracking.connection import (
    DELETED,
    connect,
    is_away,
    require_experiment,
    require_files_within_reach,
    tracking_uri,
)
from harness.tracking.defaults import our_defaults
from harness.tracking.models import keep_model
from harness.tracking.moved import ARTIFACTS
from harness.tracking.read import condition, every_sweep, last_step, read_artifact, read_run, search
from harness.tracking.tracker import FoundRun

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput as MlflowInput

logger = logging.getLogger(__name__)
MOST_ROWS = 1000  # per batch, MLflow's limit
STATUS = {
    Outcome.COMPLETED: "FINISHED",
    Outcome.PRUNED: "FINISHED",
    Outcome.DIVERGED: "FAILED",
    Outcome.FAILED: "FAILED",
    Outcome.KILLED: "KILLED",
}


class MlflowTracker:
    """A tracker on an MLflow store: `mlflow.db` in the current folder, or the one that MLFLOW_TRACKING_URI names."""

    def __init__(self) -> None:
        self.uri = tracking_uri()
        self._client = connect(self.uri)
        self._experiments: dict[str, str] = {}
        self._monitors: dict[str, contextlib.ExitStack] = {}
        self._monitored = monitors_system()

    def start_run(self, experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Open a run and return its id."""
        tags = dict(tags) | process_tags(tags)
        run = self._client.create_run(self._experiment_id(experiment), run_name=name, tags=tags)
        run_id: str = run.info.run_id
        self._log_params(run_id, params)
        if tags.get(Tag.STAGE) == Stage.SWEEP:
            self._show_charts(run_id, run.info.experiment_id, tags.get(Tag.NOTE, ""))
        if self._monitored:
            self._monitor(run_id, tags)
        return run_id

    def reopen_run(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Mark a run as running again; log `params` again, because a crash may have prevented it the first time."""
        self._client.update_run(run_id, status="RUNNING")
        tags = self._client.get_run(run_id).data.tags
        self.set_tags(run_id, process_tags(tags))
        self._log_params(run_id, params)
        if self._monitored:
            self._monitor(run_id, tags)

    def last_step(self, run_id: str, metric: str) -> int:
        """Return the last step of a run's metric, 0 if it has none."""
        return last_step(self._client, run_id, metric)

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record the data that a run uses, beside the data that are recorded already."""
        from mlflow.exceptions import MlflowException

        of_mlflow = [_as_mlflow_input(each) for each in inputs]
        try:
            self._client.log_inputs(run_id, of_mlflow)
        except MlflowException as error:
            if is_away(error):
                raise
            self._client.log_inputs(run_id, of_mlflow)  # retry: another process has just recorded the same data

    def log_rows(self, run_id: str, rows: Sequence[MetricRow]) -> None:
        """Record values of metrics in one call; the values of each metric are in the order of their steps."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for first in range(0, len(rows), MOST_ROWS):
            batch = [Metric(row.name, row.value, now, row.step) for row in rows[first : first + MOST_ROWS]]
            self._client.log_batch(run_id, metrics=batch)

    def log_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Store a file under the run. `name` may hold folders, separated by slashes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(name).name
            path.write_bytes(content)
            parent = Path(name).parent.as_posix()
            self._client.log_artifact(run_id, str(path), None if parent == "." else parent)

    def read_artifact(self, run_id: str, name: str) -> bytes:
        """Return the content of a file that was stored under the run."""
        return read_artifact(run_id, name)

    def log_model(self, run_id: str, trained_by: str, write: Callable[[Path], None]) -> None:
        """Attach the model of the final `trained_by` to the sweep `run_id`, once. `write` writes its folder.

        If the model can't be written, or the store accepts no models, log a warning and continue.
        """
        try:
            keep_model(self._client, run_id, trained_by, write)
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
            self._monitors.pop(run_id).close()
        self.set_tags(run_id, {Tag.OUTCOME: outcome.value})
        self._client.set_terminated(run_id, STATUS[outcome])

    def find_run(self, run_id: str) -> FoundRun:
        """Return the run of that id; raise BadInputError if there is none, or it was deleted."""
        run = read_run(run_id)
        if run.info.lifecycle_stage == DELETED:
            require_experiment(self._client.get_experiment(run.info.experiment_id))
            raise BadInputError(
                "run",
                run_id,
                "was deleted",
                expected="an existing run",
                next_step="restore it with MLflow's own `mlflow runs restore`",
            )
        return FoundRun(run.info.run_id, run.data.tags, run.data.metrics)

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list[FoundRun]:
        """Return the runs with all these tags; of sweeps, the newest first."""
        return [
            FoundRun(run.info.run_id, run.data.tags, run.data.metrics)
            for run in search(self._client, [self._experiment_id(experiment)], condition(tags))
        ]

    def latest_sequence(self) -> int:
        """Return the sequence number of the sweep that was started last; 0 if there is none."""
        latest = next(every_sweep(self._client), None)
        return int(latest.data.tags.get(Tag.SEQUENCE, 0)) if latest else 0

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        self._client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])

    def _experiment_id(self, name: str) -> str:
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                # without a server, MLflow resolves relative artifact paths against each reader's current folder
                location = (Path.cwd() / ARTIFACTS).as_uri() if self.uri.startswith("sqlite") else None
                # without a kind, the UI opens an experiment in its mode for language models
                kind = {"mlflow.experimentKind": "custom_model_development"}
                self._experiments[name] = self._client.create_experiment(name, location, kind)
            else:
                require_experiment(found)
                require_files_within_reach(found.artifact_location, self.uri)
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _show_charts(self, sweep_id: str, experiment_id: str, note: str) -> None:
        """Add the UI's views of a sweep, charts and a table, and link to both in the sweep's description.

        The UI stores its shared views in these tags. If the store refuses the tags, log a warning and continue.
        """
        from mlflow.exceptions import MlflowException

        try:
            for tag, view in views(sweep_id).items():
                self._client.set_experiment_tag(experiment_id, tag, json.dumps(view))
        except MlflowException as error:
            if is_away(error):
                raise
            logger.warning("harness: sweep %s has no charts: %s", sweep_id, without_password(str(error)))
            return
        pages = routes(experiment_id, sweep_id).items()
        links = "; ".join(f"[{shown}]({route})" for shown, route in pages)
        self.set_tags(sweep_id, {Tag.NOTE: f"{note}\n\nIn MLflow: {links}."})

    def _monitor(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Record the machine's metrics with a single run or a sweep, but not with its trials and finals."""
        if run_id in self._monitors or tags.get(Tag.STAGE) not in (Stage.RUN, Stage.SWEEP):
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        with contextlib.ExitStack() as opened:
            opened.enter_context(our_defaults)  # while the monitor runs, because its own thread calls the store
            monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=self.uri)
            monitor.start()
            opened.callback(monitor.finish)
            self._monitors[run_id] = opened.pop_all()


def monitors_system() -> bool:
    """Tell whether MLflow's own environment variable asks for the machine's metrics.

    Raises:
        BadInputError: a variable has an invalid value, or psutil, which reads the metrics, is not installed.
    """
    from mlflow import environment_variables as of_mlflow

    switch = of_mlflow.MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
    interval = of_mlflow.MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL
    for each, expected in ((switch, "true or false"), (interval, "a number of seconds")):
        try:
            each.get()
        except ValueError:
            raise BadInputError(
                each.name, each.get_raw(), expected=expected, next_step="correct or unset it"
            ) from None
    if switch.get() and importlib.util.find_spec("psutil") is None:
        raise BadInputError(
            switch.name,
            switch.get_raw(),
            expected="false if psutil is not installed",
            next_step="run `pip install 'optimizer-harness[system]'`, or unset the variable",
        )
    return bool(switch.get())


def _as_mlflow_input(data: DatasetInput) -> "MlflowInput":
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


def process_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that name this process and its folder; empty for trials and finals."""
    if tags.get(Tag.STAGE) not in (Stage.RUN, Stage.SWEEP):
        return {}
    return {Tag.PROCESS: this_process(), Tag.FOLDER: str(Path.cwd())}
