"""Export a run's model in MLflow's format, usable without this package, and register it."""

import contextlib
import functools
import io
import logging
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from harness.config import DatasetConfig, OwnModelConfig, RunConfig
from harness.errors import BadInputError
from harness.predict import read_model
from harness.records import Outcome, Stage, Tag
from harness.tracking.connection import connect_to_read
from harness.tracking.defaults import import_pytorch_flavour
from harness.tracking.models import Registered, keep_model, models_of, register, require_name
from harness.tracking.read import read_run
from harness.training.data import class_names, load_splits
from harness.training.images import Splits, normalize
from harness.training.loop import build_model
from harness.training.networks import log_probabilities
from harness.training.state import RunState

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

REQUIREMENTS = ("mlflow", "numpy", "torch")


class Classifier(nn.Module):
    """Map raw images of the dataset, such as MNIST's uint8 (n, 28, 28), to probabilities float32 (n, classes).

    `network` is the network that `config` describes.
    """

    def __init__(self, network: nn.Module, config: RunConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    def forward(self, images: Tensor) -> Tensor:
        """Return the class probabilities, float32 (n, classes): the same as those of a `Prediction`."""
        return log_probabilities(self.network(normalize(images, self.config.dataset)), self.config.model).exp()


def export_model(run_id: str, data: Splits, folder: Path) -> None:
    """Write the model of a tracked run into a new folder. `data` is the dataset that the run was trained on.

    Raises:
        BadInputError: the run has no final state, or torch.export can't export the user's own model.
    """
    _export(run_id, *read_model(run_id), data, folder)


def _export(run_id: str, config: RunConfig, state: RunState, data: Splits, folder: Path) -> None:
    try:
        with _said_once():
            write_model(folder, build_model(config, state), data.test.images[[0, -1]].cpu(), config)
    except Exception as error:
        if isinstance(error, OSError) or not isinstance(config.model, OwnModelConfig):
            raise
        raise _not_exported(config.model.name, run_id, error) from error


@torch.no_grad()
def write_model(folder: Path, network: nn.Module, images: Tensor, config: RunConfig) -> None:
    """Write the model in the format of MLflow's PyTorch flavour; loading it needs neither this package nor pickle.

    `network` is in evaluation mode, on the CPU; `images` are two or more images of its dataset.
    """
    from mlflow import pyfunc  # imported here, because the import takes seconds
    from mlflow.models import Model, infer_signature
    from mlflow.models.model import MLMODEL_FILE_NAME

    classifier = Classifier(network, config).eval()
    probabilities = classifier(images).numpy()
    described = Model(
        metadata={
            "input": _input(images, config),
            "output": "probabilities of the classes, in this order",
            "classes": list(class_names(config.dataset, probabilities.shape[1])),
        },
    )
    import_pytorch_flavour().save_model(
        classifier,
        folder,
        mlflow_model=described,
        signature=infer_signature(images.numpy(), probabilities),
        input_example=images.numpy(),
        pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in REQUIREMENTS],
        serialization_format="pt2",
    )
    # fails if the export fixed the number of images as a constant
    torch.export.load(folder / "data" / "model.pt2").module()(images[:1])
    # an exported program stays on its device, the CPU, but MLflow would use a GPU on machines that have one
    described.flavors[pyfunc.FLAVOR_NAME][pyfunc.MODEL_CONFIG] = {"device": "cpu"}
    described.save(str(folder / MLMODEL_FILE_NAME))


def _input(images: Tensor, config: RunConfig) -> str:
    """Describe in words the input of the exported model."""
    thing = "rows" if images.dim() == 2 else "images"
    whose, is_figure = "the dataset", False
    if isinstance(config.dataset, DatasetConfig):
        whose, is_figure = config.dataset.name, config.dataset.known.figure is not None
    pixels = f"{', 0 to 255' if images.dtype == torch.uint8 else ''}{', light on dark' if is_figure else ''}"
    shape = ", ".join(map(str, ("n", *images.shape[1:])))
    kind = str(images.dtype).removeprefix("torch.")
    return f"any number of {thing} in the form of {whose}: {kind} ({shape}){pixels}"


def register_model(run_id: str, name: str, data_dir: Path | None = None) -> Registered:
    """Register the model of a run, or of a sweep's winner, under `name`, and return its version.

    A model that is registered under this name already gets no second version.

    Raises:
        BadInputError: there is no such run, it has no model, or MLflow does not accept the name.
    """
    run, client = read_run(run_id), connect_to_read()
    require_name(client, name)
    model = _winner(client, run) if run.data.tags.get(Tag.STAGE) == Stage.SWEEP else _own(client, run, data_dir)
    return register(client, name, model, run_id)


def _winner(client: "MlflowClient", sweep: "Run") -> "LoggedModel":
    found = next((each for each in models_of(client, sweep) if each.status == "READY"), None)
    if found is None:
        raise BadInputError(
            "sweep",
            sweep.info.run_id,
            "has no model",
            expected="a sweep that has completed, or one of its finals",
            next_step="run the sweep's command again, or name a final",
        )
    return found


def _own(client: "MlflowClient", run: "Run", data_dir: Path | None) -> "LoggedModel":
    tags = run.data.tags
    stage, outcome = tags.get(Tag.STAGE), tags.get(Tag.OUTCOME, "no outcome yet")
    if stage not in (Stage.RUN, Stage.FINAL) or outcome != Outcome.COMPLETED:
        raise BadInputError(
            "run",
            run.info.run_id,
            f"is a {stage} with {outcome}",
            expected="a sweep, or a final or single run that has completed",
            next_step="choose another run",
        )
    run_id = run.info.run_id
    config, state = read_model(run_id)
    data = load_splits(config.dataset, "cpu", data_dir)
    return keep_model(client, run_id, run_id, functools.partial(_export, run_id, config, state, data))


@contextlib.contextmanager
def _said_once() -> Iterator[None]:
    """Silence torch's output and logs when an export fails, because its exception says the same."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.fx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _not_exported(name: str, run_id: str, error: Exception) -> BadInputError:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return BadInputError(
        "model",
        name,
        f"of run {run_id!r} can't be exported ({text[:300]})",
        expected="a model that torch.export can export for any number of images",
        next_step="use the state and config instead, which are artifacts of the run",
    )
