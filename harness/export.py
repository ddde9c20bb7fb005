"""A run's model in MLflow: a folder in MLflow's own format, its entry under Models, its registration."""

import contextlib
import io
import json
import logging
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_MODEL_VERSIONS
from torch import Tensor, nn

from harness.classifier import Classifier
from harness.config import FrozenModel, OwnModelConfig, RunConfig, flatten
from harness.errors import BadInputError
from harness.predict import read_model
from harness.records import USES, Outcome, Stage, Tag
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.read import read_run
from harness.training.data import class_names, load_splits
from harness.training.images import Splits
from harness.training.loop import build_model

REQUIREMENTS = ("mlflow", "numpy", "torch")


class Registered(FrozenModel):
    """A version of a registered model, and the run whose model it is."""

    name: str
    version: int
    uri: str
    run_id: str


def log_model(client: MlflowClient, run_id: str, trained_by: str, data: Splits) -> LoggedModel:
    """The model that the run `trained_by` trained on that data, as the one of the run `run_id`.

    That of the same state stays as it is; any other, or half a one, gives way to it, unless it is registered.

    Raises:
        BadInputError: the run has no final state, or a user's own model does what torch.export can't.
    """
    run, trainer = client.get_run(run_id), client.get_run(trained_by)
    for there in _models_of(client, run):
        same = there.tags[Tag.STATE_HASH] == trainer.data.tags.get(Tag.STATE_HASH)
        if same and there.status == LoggedModelStatus.READY:
            return there
        if MLFLOW_MODEL_VERSIONS not in there.tags:
            client.delete_logged_model(there.model_id)
    config, state = read_model(trained_by)
    tags = {
        Tag.STATE_HASH: state.hash(),
        Tag.TRAINED_BY: trained_by,
        Tag.OPTIMIZER: trainer.data.tags[Tag.OPTIMIZER],
    }
    name = "model" if run_id == trained_by else "winner"
    params = {key: str(value) for key, value in flatten(config).items()}
    logged = client.create_logged_model(run.info.experiment_id, name, run_id, tags, params)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        try:
            with _said_once():
                write_model(path, build_model(config, state), data.test.images[[0, -1]].cpu(), config, logged)
        except Exception as error:
            client.delete_logged_model(logged.model_id)
            if isinstance(error, OSError) or not isinstance(config.model, OwnModelConfig):
                raise
            raise _not_exported(config.model.name, trained_by, error) from error
        client.log_model_artifacts(logged.model_id, str(path))
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=state.epoch)])
    client.log_batch(trained_by, metrics=_metrics_of(client, trainer, logged))
    return client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)


@torch.no_grad()
def write_model(folder: Path, network: nn.Module, images: Tensor, config: RunConfig, logged: LoggedModel) -> None:
    """The model as MLflow's PyTorch flavour reads it, without our package and without pickle.

    `network` is in evaluation mode, on the CPU; `images` are two or more of its dataset.
    """
    from mlflow import pyfunc  # which takes seconds to import
    from mlflow.models import Model, infer_signature
    from mlflow.models.model import MLMODEL_FILE_NAME
    from mlflow.pytorch import save_model

    classifier = Classifier(network, config.model).eval()
    probabilities = classifier(images).numpy()
    described = Model(
        artifact_path=logged.artifact_location,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
        run_id=logged.source_run_id,
        metadata={
            "input": "any number of images or rows as the dataset has them, MNIST's light on dark, 0 to 255",
            "output": "probabilities of the classes, in this order",
            "classes": list(class_names(config.dataset, probabilities.shape[1])),
        },
    )
    save_model(
        classifier,
        folder,
        mlflow_model=described,
        signature=infer_signature(images.numpy(), probabilities),
        input_example=images.numpy(),
        pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in REQUIREMENTS],
        serialization_format="pt2",
    )
    # an export may have taken the number of images for a constant
    torch.export.load(folder / "data" / "model.pt2").module()(images[:1])
    # an exported program stays on the device it was exported on, and MLflow would ask for a GPU wherever there is one
    described.flavors[pyfunc.FLAVOR_NAME][pyfunc.MODEL_CONFIG] = {"device": "cpu"}
    described.save(str(folder / MLMODEL_FILE_NAME))


def register_model(run_id: str, name: str, data_dir: Path | None = None) -> Registered:
    """A version of the registered model `name`: the winner of that sweep, or that run's model; at most one of it.

    Raises:
        BadInputError: there is no such run, it has no model, or the name is none that MLflow allows.
    """
    client, run = connect(tracking_uri()), read_run(run_id)
    _require_name(client, name)
    model = _winner(client, run) if run.data.tags.get(Tag.STAGE) == Stage.SWEEP else _own(client, run, data_dir)
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


def _winner(client: MlflowClient, sweep: Run) -> LoggedModel:
    found = next((each for each in _models_of(client, sweep) if each.status == LoggedModelStatus.READY), None)
    if found is None:
        raise BadInputError(
            f"sweep {sweep.info.run_id!r} has no model: one that has completed is allowed, or one of its finals; "
            "say its command again, or name a final"
        )
    return found


def _own(client: MlflowClient, run: Run, data_dir: Path | None) -> LoggedModel:
    tags = run.data.tags
    stage, outcome = tags.get(Tag.STAGE), tags.get(Tag.OUTCOME, "no outcome yet")
    if stage not in (Stage.RUN, Stage.FINAL) or outcome != Outcome.COMPLETED:
        raise BadInputError(
            f"run {run.info.run_id!r} is a {stage} with {outcome}: a sweep, or a final or single run that has "
            "completed, is allowed; choose another"
        )
    config, _ = read_model(run.info.run_id)
    return log_model(client, run.info.run_id, run.info.run_id, load_splits(config.dataset, "cpu", data_dir))


def _models_of(client: MlflowClient, run: Run) -> Iterator[LoggedModel]:
    """Those of ours: a person may have logged others. The newest first."""
    found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    return (each for each in found if Tag.STATE_HASH in each.tags)


@contextlib.contextmanager
def _said_once() -> Iterator[None]:
    """Of a model that it can't export torch prints and logs pages, and raises an error that says it."""
    for name in ("torch.export", "torch.fx"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def _not_exported(name: str, run_id: str, error: Exception) -> BadInputError:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return BadInputError(
        f"model {name!r} of run {run_id!r} can't be exported ({text[:300]}): "
        "what torch.export takes, for any number of images, is allowed; its state and config are the run's artifacts"
    )


def _metrics_of(client: MlflowClient, run: Run, model: LoggedModel) -> list[Metric]:
    """What the run measured last, as the model's, and on what data. They are the run's own points, which stay one."""
    used = {
        tag.value: each.dataset
        for each in run.inputs.dataset_inputs
        for tag in each.tags
        if tag.key == MLFLOW_DATASET_CONTEXT
    }
    metrics = []
    for name in sorted(run.data.metrics):
        if dataset := used.get(USES.get(name.split("/")[0])):
            last = max(client.get_metric_history(run.info.run_id, name), key=lambda point: point.step)
            point = (name, last.value, last.timestamp, last.step)
            metrics.append(Metric(*point, model.model_id, dataset.name, dataset.digest, run.info.run_id))
    return metrics


def _require_name(client: MlflowClient, name: str) -> None:
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(INVALID_PARAMETER_VALUE):
            raise BadInputError(
                f"--name {name!r} is no name of a model: one that MLflow's registry takes is allowed, "
                "without '/' and ':'; choose another"
            ) from None


def _open_registered_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
