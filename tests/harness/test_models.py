"""A sweep's winner is a model in MLflow, and any other run's on request: one a run, without our package or pickle."""

import json
import logging
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from harness.config import RunConfig, with_settings
from harness.export import export_model, register_model
from harness.predict import read_model
from harness.records import Tag
from harness.run import begin_run, complete_run
from harness.tracking import buffered as outbox
from harness.tracking.buffered import delivered
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.models import keep_model
from harness.tracking.read import read_run
from harness.training.data import load_splits
from harness.training.evaluation import evaluate
from harness.training.loop import build_model
from tests.command import in_a_pipe
from tests.dataset_files import write
from tests.servers import served_model


@pytest.fixture
def here(tracked, monkeypatch):
    """Enter the folder of the tracked runs, and return them."""
    monkeypatch.chdir(tracked.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tracked


def models_of(run_id):
    experiment = read_run(run_id).info.experiment_id
    return connect(tracking_uri()).search_logged_models([experiment], f"source_run_id = '{run_id}'")


def probabilities(run_id, data):
    """Return the probabilities of all test images from our own evaluation of the run's state."""
    config, state = read_model(run_id)
    return (
        evaluate(build_model(config, state), load_splits(config.dataset, "cpu", data).test, config)[2].exp().numpy()
    )


def answer(url, images):
    """The status, and the predictions where there are some."""
    request = urllib.request.Request(
        f"{url}/invocations", json.dumps({"inputs": images}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, np.array(json.load(response)["predictions"])
    except urllib.error.HTTPError as error:
        return error.code, None


@pytest.mark.slow
def test_the_winner_of_a_sweep_is_registered_and_served_without_our_package_or_pickle(here, tmp_path):
    registered = json.loads(in_a_pipe("register", "--name", "served", "--json")[1])
    assert registered == {"name": "served", "version": 1, "uri": "models:/served/1", "run_id": here.sweep}
    assert in_a_pipe("register", here.sweep, "--name", "served") == (0, "served, version 1: models:/served/1\n")
    (model,) = models_of(here.sweep)
    for package in ("harness", "studies", "reports", "experiments"):
        (tmp_path / f"{package}.py").write_text("raise ImportError('there is no such package')")
    expected = probabilities(model.tags[Tag.TRAINED_BY], here.folder / "data")
    images = load_splits(read_model(model.tags[Tag.TRAINED_BY])[0].dataset, "cpu", here.folder / "data").test.images
    environment = {"PYTHONPATH": str(tmp_path), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    with served_model(here.folder, registered["uri"], **environment) as url:
        for count in (1, 7, len(images)):
            status, answered = answer(url, images[:count].tolist())
            assert status == 200
            assert np.allclose(answered, expected[:count], rtol=1e-4, atol=1e-7)
        assert answer(url, images[:3, :27].tolist()) == (400, None)


def test_a_registered_model_describes_its_inputs_its_outputs_and_its_accuracy(here):
    (model,) = models_of(here.sweep)
    run_id = model.tags[Tag.TRAINED_BY]
    loaded = mlflow.pyfunc.load_model(model.artifact_location)
    assert [each.shape for each in (*loaded.metadata.signature.inputs, *loaded.metadata.signature.outputs)] == [
        (-1, 28, 28),
        (-1, 10),
    ]
    assert np.allclose(loaded.predict(loaded.input_example), probabilities(run_id, here.folder / "data")[[0, -1]])
    assert loaded.model_config == {"device": "cpu"}, "wherever it is loaded"
    assert loaded.metadata.metadata["classes"] == list("0123456789")
    with pytest.raises(MlflowException, match="uint8"):
        loaded.predict(loaded.input_example / 255)
    run = read_run(run_id)
    digests = {each.tags[0].value: each.dataset.digest for each in run.inputs.dataset_inputs}
    found = {(each.key, each.dataset_digest): each.value for each in model.metrics}
    assert found["test/accuracy", digests["testing"]] == run.data.metrics["test/accuracy"]
    assert found["validation/loss", digests["validation"]] == run.data.metrics["validation/loss"]
    history = connect(tracking_uri()).get_metric_history(run_id, "test/accuracy")
    assert [point.step for point in history] == [1], "they are not points of the run once more"


@pytest.mark.parametrize(
    ("run", "name", "message"),
    [
        (
            "trial",
            "mine",
            "is a trial with completed: expected a sweep, or a final or single run that has completed",
        ),
        ("stopped", "mine", "is a run with killed: "),
        ("sweep", "a/b", "--name 'a/b' is not a valid name of a model"),
        ("sweep", "", "--name '' is not a valid name of a model"),
        (None, "mine", "run 'none' is unknown"),
    ],
)
def test_a_run_or_name_that_cannot_be_registered_is_refused_in_one_line(here, run, name, message):
    code, said = in_a_pipe("register", getattr(here, run) if run else "none", "--name", name)
    assert (code, len(said.splitlines())) == (2, 1), said
    assert message in said


class Unreliable(MlflowTracker):
    """The store is away once while a model is half there, then its answer is lost."""

    def __init__(self):
        super().__init__()
        self.tries = 0

    def log_model(self, *arguments):
        self.tries += 1
        if self.tries == 1:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(self._client, "log_outputs", away)
                super().log_model(*arguments)
        super().log_model(*arguments)
        if self.tries == 2:
            away()


def away(*_):
    raise ConnectionError("away")


def refuse(*_, **__):
    raise MlflowException("no such endpoint", RESOURCE_DOES_NOT_EXIST)


@pytest.fixture
def run_id(config, project, data):
    """The id of a single run that has completed."""
    tracker = MlflowTracker()
    return complete_run(begin_run(config, tracker, "tiny", data), tracker, data).run_id


@pytest.mark.slow
def test_a_run_has_one_model_however_often_it_is_logged(config, run_id, small, data, monkeypatch):
    monkeypatch.setattr(outbox, "PAUSE", 0.001)
    tracker = Unreliable()
    mine = mlflow.tracking.MlflowClient(tracking_uri()).create_logged_model(
        read_run(run_id).info.experiment_id, "mine", run_id
    )
    with delivered(tracker) as waiting:
        waiting.log_model(run_id, run_id, partial(export_model, run_id, small))
    assert tracker.tries == 3
    model, other = models_of(run_id)
    assert (model.status, model.tags[Tag.STATE_HASH]) == ("READY", read_run(run_id).data.tags[Tag.STATE_HASH])
    assert other.model_id == mine.model_id, "what a person logged is a person's"
    assert model.model_id in [each.model_id for each in read_run(run_id).outputs.model_outputs]

    registered = register_model(run_id, "kept", data)
    assert register_model(run_id, "kept", data) == registered
    assert [each.model_id for each in models_of(run_id)] == [model.model_id, mine.model_id]
    longer = complete_run(begin_run(with_settings(config, {"epochs": 1}), tracker, "tiny", data), tracker, data)
    for _ in range(2):
        tracker.log_model(run_id, longer.run_id, partial(export_model, longer.run_id, small))
    newer, *others = models_of(run_id)
    assert newer.tags[Tag.STATE_HASH] == longer.state_hash
    assert [each.model_id for each in others] == [model.model_id, mine.model_id], "what is registered stays"


@pytest.mark.long
def test_a_model_that_is_already_stored_is_not_written_again(run_id, small):
    client, written = connect(tracking_uri()), []

    def write(folder):
        written.append(folder)
        export_model(run_id, small, folder)

    first, second = (keep_model(client, run_id, run_id, write) for _ in range(2))
    assert (first.model_id, len(written)) == (second.model_id, 1)
    assert not written[0].exists(), "it is the store's now"


@pytest.mark.long
@pytest.mark.parametrize("refused", ["create_logged_model", "log_model_artifacts", "log_outputs", "log_batch"])
def test_a_sweep_only_warns_if_the_store_refuses_models(run_id, caplog, monkeypatch, refused):
    tracker = MlflowTracker()
    monkeypatch.setattr(tracker._client, refused, refuse)
    tracker.log_model(run_id, run_id, described)
    assert f"sweep {run_id} has no model: no such endpoint" in caplog.text
    assert models_of(run_id) == [], "not half a one either"


def described(folder):
    """Write the smallest folder that MLflow accepts as a model."""
    folder.mkdir()
    mlflow.models.Model().save(folder / "MLmodel")


def own(**settings):
    bars = {"name": "tests.own.shapes:bars", "train_size": 64, "validation_size": 32, "test_size": 32}
    values = {f"dataset.{key}": value for key, value in bars.items()}
    return values | {"threads": 1, "epochs": 1} | {key.replace("__", "."): each for key, each in settings.items()}


@pytest.mark.slow
def test_a_users_own_model_takes_its_own_images_and_needs_none_of_its_code(config, project):
    tracker = MlflowTracker()
    mine = with_settings(config, own(model__name="tests.own.shapes:Small"))
    run_id = complete_run(begin_run(mine, tracker, "own"), tracker).run_id
    register_model(run_id, "mine")
    (model,) = models_of(run_id)
    loaded = mlflow.pyfunc.load_model(model.artifact_location)
    assert [each.shape for each in loaded.metadata.signature.inputs] == [(-1, 2, 12, 12)]
    assert np.allclose(loaded.predict(loaded.input_example), probabilities(run_id, None)[[0, -1]], rtol=1e-4)
    assert b"shapes" not in (Path(model.artifact_location.removeprefix("file://")) / "MLmodel").read_bytes()


IN_COLOUR = {"dataset.name": "cifar10", "dataset.train_size": 40, "dataset.validation_size": 20}
A_TABLE = {"dataset.name": "wine", "model.name": "mlp"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "shape", "taken"),
    [
        (
            {"dataset.name": "digits"},
            (8, 8),
            "any number of images in the form of digits: uint8 (n, 8, 8), 0 to 255, light",
        ),
        (IN_COLOUR, (3, 32, 32), "any number of images in the form of cifar10: uint8 (n, 3, 32, 32), 0 to 255"),
        (A_TABLE, (13,), "any number of rows in the form of wine: float32 (n, 13)"),
    ],
    ids=["digits", "colour", "table"],
)
def test_an_exported_model_normalises_as_its_dataset_does_and_says_what_it_takes(
    project, monkeypatch, settings, shape, taken
):
    folder = project / "data"
    if settings is IN_COLOUR:
        write("cifar10", folder, monkeypatch)
    data = folder if settings is IN_COLOUR else None
    config = with_settings(RunConfig(), settings | {"threads": 1, "epochs": 1})
    tracker = MlflowTracker()
    run_id = complete_run(begin_run(config, tracker, "tiny", data), tracker, data).run_id
    register_model(run_id, "mine", data)
    (model,) = models_of(run_id)
    loaded = mlflow.pyfunc.load_model(model.artifact_location)
    assert [each.shape for each in loaded.metadata.signature.inputs] == [(-1, *shape)]
    test = load_splits(config.dataset, "cpu", data).test.images[:]
    assert np.allclose(loaded.predict(test.numpy()), probabilities(run_id, data), rtol=1e-4, atol=1e-7)
    assert loaded.metadata.metadata["input"].startswith(taken)
    assert tuple(loaded.metadata.metadata["classes"]) == config.dataset.known.class_names


@pytest.mark.long
@pytest.mark.parametrize("name", ["Undecided", "Counting"])
def test_a_model_that_cannot_be_exported_is_named_and_its_run_is_not_affected(config, project, caplog, name):
    tracker = MlflowTracker()
    mine = with_settings(config, own(model__name=f"tests.own.shapes:{name}"))
    run_id = complete_run(begin_run(mine, tracker, "own"), tracker).run_id
    levels = [logging.getLogger(each).level for each in ("torch.export", "torch.fx")]
    code, said = in_a_pipe("register", run_id, "--name", "mine")
    assert (code, len(said.splitlines())) == (2, 1), said
    assert f"model 'tests.own.shapes:{name}' of run {run_id!r} can't be exported" in said
    tracker.log_model(run_id, run_id, partial(export_model, run_id, load_splits(mine.dataset, "cpu")))
    assert "can't be exported" in caplog.text
    assert models_of(run_id) == []
    assert [logging.getLogger(each).level for each in ("torch.export", "torch.fx")] == levels
