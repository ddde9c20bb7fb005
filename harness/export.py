"""A run's model for those who don't have this package: written in MLflow's own format, and registered."""

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
from harness.tracking.connection import connect, tracking_uri
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
    """Images as the dataset has them, MNIST's pixels uint8 (n, 28, 28) for example, to probabilities (n, classes).

    `network` is the model of `config`.
    """

    def __init__(self, network: nn.Module, config: RunConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    def forward(self, images: Tensor) -> Tensor:
        """The probabilities, float32; those of `harness predict`."""
        return log_probabilities(self.network(normalize(images, self.config.dataset)), self.config.model).exp()


def export_model(run_id: str, data: Splits, folder: Path) -> None:
    """Write the model of a tracked run, which it trained on that data, into a new folder.

    Raises:
        BadInputError: the run has no final state, or a user's own model does what torch.export can't.
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
    """Write the model as MLflow's PyTorch flavour reads it, without our package and without pickle.

    `network` is in evaluation mode, on the CPU; `images` are two or more of its dataset.
    """
    from mlflow import pyfunc  # which takes seconds to import
    from mlflow.models import Model, infer_signature
    from mlflow.models.model import MLMODEL_FILE_NAME
    from mlflow.pytorch import save_model

    classifier = Classifier(network, config).eval()
    probabilities = classifier(images).numpy()
    described = Model(
        metadata={
            "input": _input(images, config),
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


def _input(images: Tensor, config: RunConfig) -> str:
    """Say what the exported model takes."""
    thing = "rows" if images.dim() == 2 else "images"
    whose, is_figure = "the dataset", False
    if isinstance(config.dataset, DatasetConfig):
        whose, is_figure = config.dataset.name, config.dataset.known.figure is not None
    pixels = f"{', 0 to 255' if images.dtype == torch.uint8 else ''}{', light on dark' if is_figure else ''}"
    shape = ", ".join(map(str, ("n", *images.shape[1:])))
    kind = str(images.dtype).removeprefix("torch.")
    return f"any number of {thing} as {whose} has them: {kind} ({shape}){pixels}"


def register_model(run_id: str, name: str, data_dir: Path | None = None) -> Registered:
    """A version of the registered model `name`: the winner of that sweep, or that run's model; at most one of it.

    Raises:
        BadInputError: there is no such run, it has no model, or the name is none that MLflow allows.
    """
    client, run = connect(tracking_uri()), read_run(run_id)
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
            expected="one that has completed, or one of its finals",
            next_step="say its command again, or name a final",
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
            next_step="choose another",
        )
    run_id = run.info.run_id
    config, state = read_model(run_id)
    data = load_splits(config.dataset, "cpu", data_dir)
    return keep_model(client, run_id, run_id, functools.partial(_export, run_id, config, state, data))


@contextlib.contextmanager
def _said_once() -> Iterator[None]:
    """Silence what torch prints and logs of a model that it can't export: the error that it raises says it too."""
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
        expected="what torch.export takes, for any number of images",
        next_step="take its state and config, which are the run's artifacts",
    )
