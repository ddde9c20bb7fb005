"""The Python interface: what it takes, what it gives back, and that it says and does what the command line does."""

import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.figure
import pandas as pd
import pytest
import pytorch_optimizer
import torch

import experiments
from experiments import catalog
from experiments.adjusting import Adjustments
from experiments.api import optimizer_name
from experiments.planning import plan_run, plan_sweep
from harness.config import RunConfig, flatten
from harness.errors import BadInputError
from harness.records import Tag
from harness.tracking.read import latest_sweep, read_tracked_run
from tests.command import run_command
from tests.mnist_folder import write_small_mnist
from tests.own import shapes
from tests.own.shapes import Small, bars
from tests.tracked import tiny_sweeps

SMALL = {"dataset.train_size": 160, "dataset.validation_size": 80, "threads": 1}
INLINE = {"executor": "inline", "quiet": True}


@pytest.fixture
def data(project) -> Path:
    return write_small_mnist(project / "data")


@pytest.fixture
def images():
    return bars()


@pytest.mark.long
def test_a_run_gives_its_epochs_and_its_trajectory(data):
    found = experiments.run(optimizer=torch.optim.Adam, settings=SMALL, epochs=2, seed=3, data_dir=data, quiet=True)
    assert found.epochs["epoch"].tolist() == [1, 2]
    assert found.finals["seed"].tolist() == ["3"]
    assert read_tracked_run(found.run_id).params["optimizer.name"] == "adam"
    measured = found.trajectory.dropna(subset="validation_accuracy")
    assert measured["images"].is_monotonic_increasing
    assert measured["epochs"].iloc[-1] == 2
    assert "convergence" in found.figures
    assert "<table" in found._repr_html_()
    assert found.report.is_file()


@pytest.mark.long
def test_a_sweep_takes_classes_and_tensors_and_gives_frames_figures_and_the_page(project, images):
    with tiny_sweeps():
        found = experiments.sweep(
            optimizers=["adam", shapes.SignDescent],
            model=Small,
            data=images,
            settings={"model.width": 8, "batch_size": 16},
            search={"optimizer.lr": "log(1e-3, .1)"},
            seeds=2,
            **INLINE,
        )
    assert set(found.optimizers["optimizer"]) == {"adam", "tests.own.shapes:SignDescent"}
    assert len(found.finals) == 4
    assert set(found.trials["stage"]) == {"trial"}
    assert {"better", "worse", "verdict"} <= set(found.verdicts.columns)
    assert isinstance(found.figure("final-accuracy"), matplotlib.figure.Figure)
    assert found.report.name == "report.html"
    shown = found._repr_html_()
    assert found.answer.partition(" ")[0] in shown
    assert "data:image/png;base64," in shown
    with pytest.raises(BadInputError, match="figure 'convergenc'"):
        found.figure("convergenc")


@pytest.mark.slow
def test_tensors_are_stored_once_and_found_by_any_process(project, images):
    for _ in range(2):
        found = experiments.run(model=Small, data=images, settings={"threads": 1}, epochs=1, quiet=True)
    (folder,) = Path(".harness/data").iterdir()
    config = flatten(experiments.findings(found.run_id)._contents.source.definition.base)
    assert config["dataset.digest"] == folder.name
    sizes = [config[f"dataset.{part}_size"] for part in ("train", "validation", "test")]
    assert sum(sizes) == len(images[0])
    assert sizes[1] == sizes[2] == len(images[0]) // 7
    again = subprocess.run(
        [sys.executable, "-m", "harness", "reproduce", found.run_id], capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr


def test_images_too_few_to_be_divided_are_refused_unless_the_sizes_are_set(project, images):
    few = images[0][:6], images[1][:6]
    sizes = {"dataset.train_size": 3, "dataset.validation_size": 1, "dataset.test_size": 2}
    with pytest.raises(
        BadInputError, match=r"but one in 7 of the 6 images in `data` is 0; pass 7 or more images, or"
    ):
        experiments.run(model=Small, data=few, settings={"dataset.train_size": 3}, quiet=True)
    with pytest.raises(BadInputError, match=r"^batch_size 32 is larger than the"):
        experiments.run(model=Small, data=few, settings=sizes, quiet=True)


@pytest.mark.long
def test_other_tensors_have_another_digest(project, images):
    of = [
        experiments.run(model=Small, data=(of_images, images[1]), settings={"threads": 1}, epochs=1, quiet=True)
        for of_images in (images[0], images[0].flip(0))
    ]
    digests = {read_tracked_run(each.run_id).params["dataset.digest"] for each in of}
    assert len(digests) == 2


@pytest.mark.long
def test_the_same_call_returns_the_stored_sweep_and_other_settings_begin_a_new_sweep(data):
    with tiny_sweeps():
        first = experiments.sweep(data_dir=data, **INLINE)
        again = experiments.sweep(data_dir=data, **INLINE)
        other = experiments.sweep(data_dir=data, settings={"label_smoothing": 0.1}, **INLINE)
    assert again.run_id == first.run_id
    assert other.run_id != first.run_id
    pd.testing.assert_frame_equal(again.finals, first.finals)
    assert experiments.findings().run_id == other.run_id == latest_sweep()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("nadam", "nadam"),
        (torch.optim.SGD, "sgd"),
        (torch.optim.Adam, "adam"),
        (torch.optim.Muon, "muon"),
        (pytorch_optimizer.Lion, "lion"),
        (pytorch_optimizer.AdaBelief, "pytorch_optimizer.optimizer.adabelief:AdaBelief"),
        (shapes.SignDescent, "tests.own.shapes:SignDescent"),
    ],
)
def test_an_optimizer_is_a_name_or_a_class(given, name):
    assert optimizer_name(given) == name


def test_a_class_that_cannot_be_imported_from_a_module_is_refused(project):
    class Local(Small):
        pass

    with pytest.raises(BadInputError, match="can't be imported from a module"):
        experiments.run(model=Local)


def test_an_unavailable_device_is_refused_as_an_argument_and_as_a_setting(project):
    for given in ({"device": "cuda:99"}, {"settings": {"device": "cuda:99"}}):
        with pytest.raises(BadInputError, match="device 'cuda:99' is not available"):
            experiments.run(**given)
        with tiny_sweeps(), pytest.raises(BadInputError, match="device 'cuda:99' is not available"):
            experiments.sweep(**given)
    assert not Path(".harness").exists()


def test_explicit_settings_override_the_fast_profile(monkeypatch):
    monkeypatch.setattr("harness.training.devices.fast_settings", lambda _: {"precision": "bfloat16", "fused": True})
    config = plan_run(RunConfig(), {"precision": "float32"}, "cpu", fast=True)
    assert (config.precision, config.fused) == ("float32", True)
    declared = catalog.load_sweep("optimizers")
    said = Adjustments(settings={"precision": "float32"}, fast=True)
    assert plan_sweep("optimizers", declared, said, "inline").definition.base.precision == "float32"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((torch.zeros(2, 2), ["a", "b"]), "can't be converted to a tensor"),
        (
            (torch.zeros(9, 2), torch.eye(9, 2)),
            r"^data has labels torch.float32 of shape \(9, 2\) for 9 images: expected im",
        ),
        ((torch.zeros(9, 2), [0] * 8), r"^data has labels .* of shape \(8,\) for 9 images: .*; correct the data$"),
        ((torch.zeros(6, 2, 2), torch.zeros(6)), "dataset.test_size 0: expected"),
        (torch.zeros(4, 2, 2), "two tensors or arrays"),
        (3, "two tensors or arrays"),
    ],
    ids=str,
)
def test_data_that_are_not_images_and_labels_are_refused_in_one_line(project, data, message):
    with pytest.raises(BadInputError, match=message) as caught:
        experiments.run(data=data)
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_a_sweep_can_be_resumed_on_the_command_line(project, images):
    with tiny_sweeps():
        found = experiments.sweep(model=Small, data=images, settings={"model.width": 8, "batch_size": 16}, **INLINE)
    command = read_tracked_run(found.run_id).tags[Tag.COMMAND]
    assert shlex.split(command)[:5] == [
        "harness",
        "sweep",
        "optimizers",
        "--set",
        'model.name="tests.own.shapes:Small"',
    ]
    with tiny_sweeps():
        printed = io.StringIO()
        code = run_command(*shlex.split(command)[1:], "--executor", "inline", "--json", printed=printed, said=printed)
    assert code == 0
    assert found.run_id in printed.getvalue()


@pytest.mark.long
def test_showing_findings_writes_no_files(data):
    with tiny_sweeps():
        found = experiments.sweep(data_dir=data, **INLINE)
    shutil.rmtree(found.report.parent)
    assert experiments.findings()._repr_html_()
    assert not found.report.exists()


def test_a_class_of_the_program_itself_needs_the_inline_executor(project, monkeypatch):
    class Net(Small):
        pass

    Net.__module__, Net.__qualname__ = "__main__", "Net"
    monkeypatch.setattr(sys.modules["__main__"], "Net", Net, raising=False)
    with tiny_sweeps(), pytest.raises(BadInputError, match=r"'Net' is defined in the notebook.*inline"):
        experiments.sweep(model=Net)
    assert not Path(".harness/sweeps").exists()


@pytest.mark.slow
def test_the_readmes_program_compares_its_own_network(project, harness, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "my_study", None)
    del sys.modules["my_study"]  # and what the command imports here is removed with the patch
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (command,) = re.findall(r"^harness (sweep .*my_study:Net.*)$", readme, re.MULTILINE)
    Path("my_study.py").write_text(program, encoding="utf-8")
    ran = subprocess.run([sys.executable, "my_study.py"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    *answer, page = ran.stdout.splitlines()
    assert "in 3 replicates and 6 finals on fresh seeds" in answer[0]
    assert Path(page).is_file()
    planned = harness(*shlex.split(command), "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert all(f"\n{name} " in planned.stdout for name in ("adam", "adamw", "sgd")), planned.stdout
