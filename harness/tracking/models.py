"""Store models in MLflow as models of their runs, and register them."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import FrozenModel
from harness.errors import BadInputError
from harness.records import METRIC_NAMES, USES, Tag
from harness.tracking.connection import is_away
from harness.tracking.read import last_step

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric, Run


class Registered(FrozenModel):
    """Hold a version of a registered model, with the run that has the model."""

    name: str
    version: int
    uri: str
    run_id: str


def keep_model(client: "MlflowClient", run_id: str, trained_by: str, write: Callable[[Path], None]) -> "LoggedModel":
    """Store the model that the run `trained_by` trained as the model of the run `run_id`, and return it.

    A stored model of the same state is returned as it is. Other and incomplete models of the run are deleted, unless
    they are registered. `write` writes a folder in MLflow's format; it is not called for a model that is stored.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    run, trainer = client.get_run(run_id), client.get_run(trained_by)
    if (there := _make_way(client, run, trainer.data.tags.get(Tag.STATE_HASH))) is not None:
        return there
    name = "model" if run_id == trained_by else "winner"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, name)
        write(folder)
        tags = {Tag.TRAINED_BY: trained_by}
        tags |= {tag: trainer.data.tags[tag] for tag in (Tag.STATE_HASH, Tag.OPTIMIZER)}
        logged = client.create_logged_model(run.info.experiment_id, name, run_id, tags, trainer.data.params)
        try:
            _put_ids(folder, logged)
            client.log_model_artifacts(logged.model_id, str(folder))
            epochs = last_step(client, trained_by, METRIC_NAMES["train_loss"])
            client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, epochs)])
            client.log_batch(trained_by, metrics=_metrics_of(client, trainer, logged))
            return client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        except Exception as error:
            if not is_away(error):  # if the store is away, the next call deletes the incomplete model
                client.delete_logged_model(logged.model_id)
            raise


def models_of(client: "MlflowClient", run: "Run") -> "Iterator[LoggedModel]":
    """Return the run's models that this package stored, the newest first; other programs may have logged more."""
    found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    return (each for each in found if Tag.STATE_HASH in each.tags)


def register(client: "MlflowClient", name: str, model: "LoggedModel", run_id: str) -> Registered:
    """Register the model of a run under `name` and return the version; an existing version of it is reused."""
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

    _open_registered_model(client, name)
    there = client.search_model_versions(f"run_id = '{run_id}'")
    found = next((each for each in there if (each.name, each.source) == (name, model.artifact_location)), None)
    if found is None:
        found = client.create_model_version(name, model.artifact_location, run_id, model_id=model.model_id)
        versions = json.loads(model.tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
        versions.append({"name": name, "version": str(found.version)})
        client.set_logged_model_tags(model.model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(versions)})
    version = int(found.version)
    return Registered(name=name, version=version, uri=f"models:/{name}/{version}", run_id=run_id)


def require_name(client: "MlflowClient", name: str) -> None:
    """Raise BadInputError if MLflow's registry does not accept the name."""
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":
            raise BadInputError(
                "`name`",
                name,
                "is not a valid name of a model",
                expected="a name that MLflow's registry accepts, without '/' and ':'",
                next_step="choose another name",
            ) from None
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def _make_way(client: "MlflowClient", run: "Run", state_hash: str | None) -> "LoggedModel | None":
    """Return the run's complete model of that state; if there is none, delete its other, unregistered models."""
    from mlflow.entities import LoggedModelStatus
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

    for there in models_of(client, run):
        if there.tags[Tag.STATE_HASH] == state_hash and there.status == LoggedModelStatus.READY:
            return there
        if MLFLOW_MODEL_VERSIONS not in there.tags:
            client.delete_logged_model(there.model_id)
    return None


def _put_ids(folder: Path, logged: "LoggedModel") -> None:
    """Write the ids of the model and its run into the folder's description of the model."""
    from mlflow.models import Model
    from mlflow.models.model import MLMODEL_FILE_NAME

    described = Model.load(str(folder))
    described.artifact_path = logged.artifact_location
    described.model_uuid = described.model_id = logged.model_id
    described.run_id = logged.source_run_id
    described.save(str(folder / MLMODEL_FILE_NAME))


def _metrics_of(client: "MlflowClient", run: "Run", model: "LoggedModel") -> "list[Metric]":
    """Return the run's last metrics, linked to the model and the data on which they were measured.

    Name, value, time and step equal those of the run's own points, so MLflow stores no second point.
    """
    from mlflow.entities import Metric
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    used = {
        tag.value: each.dataset
        for each in (run.inputs.dataset_inputs if run.inputs else ())
        for tag in each.tags
        if tag.key == MLFLOW_DATASET_CONTEXT
    }
    metrics = []
    for name in sorted(run.data.metrics):
        if dataset := used.get(USES.get(name.split("/")[0], "")):
            last = max(client.get_metric_history(run.info.run_id, name), key=lambda point: point.step)
            point = (name, last.value, last.timestamp, last.step)
            metrics.append(Metric(*point, model.model_id, dataset.name, dataset.digest, run.info.run_id))
    return metrics


def _open_registered_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
