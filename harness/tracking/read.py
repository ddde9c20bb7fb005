"""Read runs, sweeps with their trials and finals, and artifacts from the MLflow store."""

import json
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import BadInputError, StoreAwayError, without_password
from harness.records import DEFINITION_ARTIFACT, WINDOW_ACCURACY, WINDOW_LOSS, Stage, Tag
from harness.tracking import database
from harness.tracking.connection import connect_to_read, is_away, require_files_within_reach, tracking_uri
from harness.tracking.defaults import import_mlflow, our_defaults
from harness.tracking.files import folder_of
from harness.tracking.histories import points
from harness.tracking.tracker import TrackedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# metrics that are not read: of trials (False), which are many, and of finals (True), whose losses are drawn
NOT_READ = {False: (WINDOW_LOSS, WINDOW_ACCURACY), True: (WINDOW_ACCURACY,)}
NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the second for an id of a wrong form


def is_loaded() -> bool:
    """Return whether MLflow is imported; then its client is used, since reading without it only saves the import."""
    return "mlflow" in sys.modules


def _file() -> Path | None:
    """Return the database file to read without MLflow; None if MLflow's client must be asked."""
    return None if is_loaded() else database.database_file(tracking_uri())


def condition(tags: Mapping[str, str]) -> str:
    """Return MLflow's filter string for the runs with all these tags."""
    return " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())


def read_run(run_id: str) -> "Run":
    """Return the MLflow run of that id.

    Raises:
        BadInputError: there is no such run.
        StoreAwayError: the store does not answer.
    """
    import_mlflow()
    from mlflow.exceptions import MlflowException

    try:
        return connect_to_read().get_run(run_id)
    except MlflowException as error:
        if is_away(error):
            raise StoreAwayError(error) from error
        if error.error_code not in NO_SUCH_RUN:
            raise
        raise BadInputError(
            "run",
            run_id,
            f"is unknown in {without_password(tracking_uri())!r}",
            expected="a run id of this store",
            next_step="the MLflow UI shows them",
        ) from None


def last_step(client: "MlflowClient", run_id: str, metric: str) -> int:
    """Return the last step of a run's metric, 0 if it has none."""
    history = client.get_metric_history(run_id, metric)
    return max((point.step for point in history), default=0)


def read_artifact(run_id: str, name: str) -> bytes:
    """Return the content of a run's artifact.

    Raises:
        BadInputError: the run or the artifact does not exist, or can only be read through a server.
        StoreAwayError: the store does not answer, or the disk is full.
    """
    if (here := _folder_here(run_id)) and (here / name).is_file():
        return (here / name).read_bytes()
    import_mlflow()
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    files = _files_of(run_id)
    with tempfile.TemporaryDirectory() as folder:
        try:
            # the client's own method reports every failure as a missing file
            path = our_defaults(download_artifacts)(f"{files}/{name}", dst_path=folder, tracking_uri=tracking_uri())
            return Path(path).read_bytes()
        except (MlflowException, OSError) as error:
            if _has_file(run_id, name):
                raise StoreAwayError(error) from error
            raise BadInputError(
                "run", run_id, f"has no {name!r}", expected="a run that has ended", next_step="choose another run"
            ) from None


def find_artifact(run_id: str, name: str) -> bytes | None:
    """Return the content of a run's artifact; None if the run has none of that name.

    Raises:
        BadInputError: there is no such run, or its artifacts can only be read through a server.
    """
    if here := _folder_here(run_id):
        return (here / name).read_bytes() if (here / name).is_file() else None
    _files_of(run_id)
    return read_artifact(run_id, name) if _has_file(run_id, name) else None


def _folder_here(run_id: str) -> Path | None:
    """Return the local folder of a run's artifacts; None if it is missing or can't be found without MLflow."""
    path = _file()
    run = database.run_of(path, run_id, metrics=False) if path else None
    folder = folder_of(run.location) if run else None
    return folder if folder and folder.is_dir() else None


def _has_file(run_id: str, name: str) -> bool:
    parent = Path(name).parent.as_posix()
    beside = connect_to_read().list_artifacts(run_id, None if parent == "." else parent)
    return any(each.path == name and not each.is_dir for each in beside)


def _files_of(run_id: str) -> str:
    """Return the address of a run's artifacts, after a check that they can be read."""
    files = str(read_run(run_id).info.artifact_uri)
    require_files_within_reach(files, tracking_uri())
    return files


def read_tracked_run(run_id: str) -> TrackedRun:
    """Return a run with all that MLflow recorded of it.

    Raises:
        BadInputError: there is no such run.
    """
    if (path := _file()) and (found := database.run_of(path, run_id)):
        return found
    run = read_run(run_id)
    client = connect_to_read()
    (tracked,) = _tracked(client, [run], client.get_experiment(run.info.experiment_id).name)
    return tracked


def latest_sweep() -> str:
    """Return the id of the sweep that was started last.

    Raises:
        BadInputError: the store has no sweep.
    """
    if (path := _file()) and (sweeps := database.sweeps(path)):
        return sweeps[0].run_id
    found = next(every_sweep(connect_to_read()), None)
    if found is None:
        raise BadInputError(
            "tracking store",
            without_password(tracking_uri()),
            "has no sweep",
            expected="a store with a sweep",
            next_step="run a sweep first",
        )
    run_id: str = found.info.run_id
    return run_id


def find_running() -> list[TrackedRun]:
    """Return the runs, sweeps, trials and finals that MLflow shows as running, without their metrics.

    If there is no store yet, there are none.

    Raises:
        BadInputError: the store can't be reached.
    """
    path = _file()
    found = database.running(path) if path else None
    if found is None and database.missing_file(tracking_uri()):
        return []
    if found is None:
        found = _every(connect_to_read(), "attributes.status = 'RUNNING'")
    return [run for run in found if Tag.STAGE in run.tags]


def find_sweeps(experiment: str) -> list[TrackedRun]:
    """Return the sweeps of an experiment, without their metrics, the newest first."""
    path = _file()
    found = database.sweeps(path) if path else None
    if found is None:
        found = _every(connect_to_read(), condition({Tag.STAGE: Stage.SWEEP}))
    return [sweep for sweep in found if sweep.experiment == experiment]


def _every(client: "MlflowClient", condition: str) -> list[TrackedRun]:
    names = {each.experiment_id: each.name for each in client.search_experiments()}
    return [_without_metrics(run, names[run.info.experiment_id]) for run in search(client, [*names], condition)]


def read_sweep(sweep_id: str) -> tuple[TrackedRun, list[TrackedRun]]:
    """Return a sweep's own run, and its trials and then its finals, each sorted by number.

    The training accuracies within epochs are left out, and so are the training losses within epochs of trials.

    Raises:
        BadInputError: no run has that id, or it is not a sweep.
    """
    sweep = read_tracked_run(sweep_id)
    if sweep.tags.get(Tag.STAGE) != Stage.SWEEP:
        part = Tag.SWEEP_ID in sweep.tags
        is_a = f", but a {sweep.tags[Tag.STAGE]} of the sweep {sweep.tags[Tag.SWEEP_ID]!r}" if part else ""
        raise BadInputError(
            "run",
            sweep_id,
            f"is not a sweep{is_a}",
            expected="a sweep's id",
            next_step="name that sweep" if part else "the MLflow UI shows them",
        )
    path = _file()
    children = database.children_of(path, sweep_id, NOT_READ) if path else None
    if children is None:
        client, experiment = connect_to_read(), read_run(sweep_id).info.experiment_id
        found = list(search(client, [experiment], condition({Tag.SWEEP_ID: sweep_id})))
        children = []
        for is_final, left_out in NOT_READ.items():
            runs = [run for run in found if (run.data.tags[Tag.STAGE] == Stage.FINAL) == is_final]
            children += _tracked(client, runs, sweep.experiment, left_out=left_out)
    return sweep, sorted(children, key=lambda run: (run.tags[Tag.STAGE] == Stage.FINAL, int(run.tags[Tag.NUMBER])))


def read_definition(sweep_id: str) -> dict[str, Any]:
    """Return the definition of a sweep, as plain values.

    Raises:
        BadInputError: there is no such sweep.
    """
    definition: dict[str, Any] = json.loads(read_artifact(sweep_id, DEFINITION_ARTIFACT))
    return definition


def every_sweep(client: "MlflowClient") -> "Iterator[Run]":
    """Yield the sweeps of all experiments, the newest first."""
    experiments = [each.experiment_id for each in client.search_experiments()]
    return search(client, experiments, condition({Tag.STAGE: Stage.SWEEP}))


def search(client: "MlflowClient", experiments: list[str], condition: str) -> "Iterator[Run]":
    """Yield the runs that meet the condition, the highest sequence number first, page after page."""
    order = [f"tags.`{Tag.SEQUENCE}` DESC"]  # not by time: a clock may be set back
    token = None
    while True:
        page = client.search_runs(experiments, condition, order_by=order, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _tracked(
    client: "MlflowClient", runs: "Sequence[Run]", experiment: str, left_out: Collection[str] = ()
) -> list[TrackedRun]:
    histories: dict[str, dict[str, dict[int, float]]] = {
        run.info.run_id: {name: {} for name in run.data.metrics if name not in left_out} for run in runs
    }
    for run_id, name, step, value in points(client, runs, left_out):
        histories[run_id].setdefault(name, {})[step] = value
    return [replace(_without_metrics(run, experiment), history=histories[run.info.run_id]) for run in runs]


def _without_metrics(run: "Run", experiment: str) -> TrackedRun:
    return TrackedRun(
        run_id=run.info.run_id,
        experiment=experiment,
        name=run.info.run_name,
        status=run.info.status,
        tags=run.data.tags,
        params=run.data.params,
        history={},
        location=run.info.artifact_uri,
    )
