"""A user's experiment is a Python file outside the project, with parts of their own that our workers find."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from experiments.catalog import load_sweep
from harness.config import DatasetConfig
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.read import latest_sweep, read_run, read_sweep, read_tracked_run
from harness.training.checks import require_sound
from harness.training.data import load_splits
from tests.metrics import assert_whole, tracked_sweep_numbers
from tests.tiny import one_figure

STUDY = '''
"""Adam and Lion on bars of my own."""

from harness.config import RunConfig, with_settings
from studies.definition import SweepDefinition
from studies.space import Choice, Range

base = with_settings(
    RunConfig(),
    {
        "dataset.name": "shapes:bars",
        "dataset.train_size": 240,
        "dataset.validation_size": 80,
        "dataset.test_size": 80,
        "model.name": "shapes:Small",
        "threads": 1,
    },
)
rate = Range(low=1e-3, high=1e-1, log=True, start=1e-2)
sweep = SweepDefinition(
    base=base,
    optimizers=("adam", "shapes:SignDescent", "lion"),
    variants={"lion": {"optimizer.name": "pytorch_optimizer:Lion"}},
    space={"model.width": Choice(choices=(8, 16))},
    spaces={
        "adam": {"optimizer.lr": rate},
        "shapes:SignDescent": {"optimizer.lr": rate, "optimizer.betas.0": Range(low=0.5, high=0.9)},
        "lion": {"optimizer.lr": rate},
    },
    budget=4,
    trial_epochs=2,
    final_seeds=(1, 2),
    final_epochs=2,
    subset=True,
)
'''


@pytest.fixture
def study(project) -> Path:
    """Return a study file beside the module that it uses, in another folder than the command's."""
    folder = project / "elsewhere"
    folder.mkdir()
    shutil.copy(Path(__file__).parents[1] / "own" / "shapes.py", folder)
    (folder / "my_study.py").write_text(STUDY)
    return folder / "my_study.py"


def test_a_sweep_on_an_unavailable_device_is_refused_before_it_begins(study, harness):
    study.write_text(study.read_text().replace('"threads": 1', '"threads": 1, "device": "cuda:99"'), encoding="utf-8")
    refused = harness("sweep", str(study), "--executor", "inline")
    assert refused.returncode == 2
    assert refused.stderr.startswith("harness: device 'cuda:99' is not available")
    assert not Path(".harness").exists()


def test_an_edited_study_file_is_imported_again_in_the_same_process(study):
    assert load_sweep(str(study)).sweep.budget == 4
    study.write_text(study.read_text().replace("budget=4", "budget=10"), encoding="utf-8")
    assert load_sweep(str(study)).sweep.budget == 10


@pytest.mark.parametrize("asked", [(), ("--dry-run",)], ids=str)
@pytest.mark.parametrize(
    ("declared", "device"),
    [
        ('space={"device": Choice(choices=("cpu", "cuda:99")),', "cuda:99"),
        ('variants={"adam": {"optimizer.name": "adam", "device": "cuda:98"},', "cuda:98"),
    ],
)
def test_a_device_that_only_some_trials_have_is_refused_before_any_step(study, harness, declared, device, asked):
    text = study.read_text(encoding="utf-8")
    key = declared.partition("{")[0] + "{"
    study.write_text(text.replace(key, f"{declared} "), encoding="utf-8")
    refused = harness("sweep", str(study), "--executor", "inline", *asked)
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.startswith(f"harness: device '{device}' is not available: expected a device of this")
    assert len(refused.stderr.splitlines()) == 1
    assert not Path(".harness").exists()


@pytest.fixture(autouse=True)
def modules_as_they_were(monkeypatch):
    """Remove the modules that the command imported in this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in ("my_study", "my_run", "my_digits", "shapes", "broken"):
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_a_killed_sweep_of_a_file_resumes_and_ends_like_an_undisturbed_one(harness, harness_started, study):
    with one_figure():
        alone = harness("sweep", str(study), "--executor", "inline", "--fresh")
    assert alone.returncode == 0, alone.stderr
    expected = tracked_sweep_numbers(latest_sweep())
    arguments = ("sweep", str(study), "--workers", "2")
    started = harness_started(*arguments, "--fresh", module="tests.tiny", TINY_ANEW="yes")
    started.wait_for("epoch ", times=4)
    started.kill()
    harness_started(*arguments, module="tests.tiny").end_with(0)
    assert tracked_sweep_numbers(latest_sweep()) == expected
    assert_whole(latest_sweep(), 3 * (4 + 2 * 2))
    sweep, runs = read_sweep(latest_sweep())
    assert read_run(sweep.run_id).info.run_name.startswith("my_study")
    assert {run.params["optimizer.name"] for run in runs} == {"adam", "shapes:SignDescent", "pytorch_optimizer:Lion"}


@pytest.mark.long
def test_a_run_of_a_file_is_named_after_the_file_and_can_predict(harness, harness_json, study):
    text = STUDY.replace("sweep = SweepDefinition(", "definition = dict(") + "\nrun = base\n"
    path = study.with_name("my_run.py")
    path.write_text(text)
    record = harness_json("run", str(path), "--epochs", "1", "--set", "optimizer.name=shapes:SignDescent")
    assert record["outcome"] == "completed"
    assert read_tracked_run(record["run_id"]).experiment == "my_run"
    prediction = harness_json("predict", record["run_id"], "--index", "3")
    assert len(prediction["probabilities"]) == 3
    picture = harness("predict", record["run_id"], "--image", "mine.png")
    assert picture.returncode == 2
    assert "how 'shapes:bars' prepares its images is not known" in picture.stderr
    assert harness_json("reproduce", record["run_id"])["first_difference"] is None


@pytest.mark.slow
def test_a_run_on_rows_of_features_is_predicted_and_reported_without_pictures(harness, harness_json, study):
    """A run on arrays, of a model with more outputs than there are classes."""
    text = STUDY.partition("rate =")[0].replace(":bars", ":table").replace(":Small", ":Linear")
    path = study.with_name("my_run.py")
    path.write_text(f"{text}\nrun = base\n")
    settings = ("dataset.lookalike=arrays", "model.classes=12", "memory_format=channels_last")
    said = [word for each in settings for word in ("--set", each)]
    run = harness_json("run", str(path), "--epochs", "1", *said)["run_id"]
    predicted = harness_json("predict", run, "--index", "3")
    assert (predicted["image"], predicted["pixels"]) == ("test row 3", [])
    assert predicted["class_names"] == [str(each) for each in range(12)]
    shown = harness("predict", run, "--index", "3")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("test row 3: prediction ")
    assert harness_json("reproduce", run)["first_difference"] is None
    assert harness_json("register", run, "--name", "rows")["version"] == 1
    with one_figure():
        page = Path(harness_json("report", run)["report"]).read_text(encoding="utf-8")
    assert "pictures of mistakes (rows of features have none)" in page


@pytest.mark.long
def test_a_model_whose_code_changed_is_refused_by_predict_in_one_line(harness, harness_json, study):
    path = study.with_name("my_run.py")
    path.write_text(STUDY.replace("sweep = SweepDefinition(", "definition = dict(") + "\nrun = base\n")
    run = harness_json("run", str(path), "--epochs", "1")["run_id"]
    module = study.with_name("shapes.py")
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace("nn.Linear(width, classes)", "nn.Linear(width, classes + 1)"), encoding="utf-8")
    sys.modules.pop("shapes")
    refused = harness("predict", run)
    assert refused.returncode == 2, refused.stderr
    assert f"model 'shapes:Small' of run '{run}' fails on test image 0 (RuntimeError: Error" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.long
def test_the_study_in_the_guide_can_be_planned_and_trained(harness, study):
    guide = (Path(__file__).parents[2] / "experiments" / "declaring.md").read_text(encoding="utf-8")
    (text,) = [each for each in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "class Net" in each]
    study.write_text(text)
    plan = harness("sweep", str(study), "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert "optimizer.betas.0" in plan.stdout
    definition = load_sweep(str(study)).sweep
    few = load_splits(DatasetConfig(train_size=640, validation_size=320), "cpu")
    for optimizer in definition.optimizers:
        require_sound(definition.example(optimizer), few)


@pytest.mark.long
def test_the_own_dataset_in_the_guide_is_searched_and_predicts(study, harness, harness_json):
    guide = (Path(__file__).parents[2] / "experiments" / "declaring.md").read_text(encoding="utf-8")
    (text,) = [each for each in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "def images" in each]
    path = study.with_name("my_digits.py")
    path.write_text(text, encoding="utf-8")
    with one_figure():
        ended = harness_json("sweep", str(path), "--executor", "inline", "--epochs", "1", "--trials", "1")
    assert ended["outcome"] == "completed"
    _, runs = read_sweep(ended["sweep_id"])
    assert {run.params["model.shape.2"] for run in runs} == {"8"}
    assert harness_json("predict", runs[0].run_id)["class_names"] == list("0123456789")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.py", None, "does not exist"),
        ("optimizers.py", STUDY, "has the name of a declared experiment"),
        ("json.py", STUDY, " instead, and so would workers"),
        ("broken.py", "sweep = (", "can't be imported (SyntaxError"),
        ("broken.py", "run = 3", "expected a SweepDefinition called `sweep`, or a RunConfig called `run`"),
        ("broken.py", STUDY.replace("budget=4", "budget=1"), "budget 1: expected 2 (the epochs of a trial) or more"),
        ("broken.py", STUDY.replace("budget=4", "budgt=4"), "budgt is unknown"),
        ("broken.py", STUDY.replace("shapes:bars", "shapes:bar"), "did you mean 'bars'"),
        ("broken.py", STUDY.replace("optimizer.betas.0", "optimizer.beta.0"), "optimizer.beta.0"),
        ("broken.py", STUDY.replace("shapes:SignDescent", "shapes:Forgetful"), "would make a resumed run differ"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused_in_one_line(harness, study, name, text, message):
    path = study.with_name(name)
    if text:
        path.write_text(text)
    result = harness("sweep", str(path))
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    if Path("mlflow.db").exists():
        assert not connect(tracking_uri()).search_experiments(filter_string="name = 'broken'")


@pytest.mark.long
def test_a_toml_file_anywhere_declares_a_sweep_of_parts_beside_it(study, harness, harness_json, monkeypatch):
    path = study.with_name("mine.toml")
    assert harness("new", str(path)).returncode == 0
    refused = harness("new", str(path))
    assert (refused.returncode, "already exists" in refused.stderr) == (2, True)
    own = {"dataset.name": "shapes:bars", "dataset.train_size": 240, "dataset.validation_size": 80}
    own |= {"dataset.test_size": 80, "model.name": "shapes:Small", "batch_size": 32}
    settings = [word for key, value in own.items() for word in ("--set", f"{key}={value}")]
    asked = ("--optimizers", "adam,shapes:SignDescent", "--search", "model.width=[8, 16]", "--budget", "2")
    saved = study.with_name("saved.toml")
    planned = harness_json("sweep", str(path), *settings, *asked, "--save", str(saved), "--dry-run")
    assert planned["optimizers"] == ["adam", "shapes:SignDescent"]
    assert planned["base"]["dataset"]["name"] == "shapes:bars"
    assert planned["space"]["model.width"]["choices"] == [8, 16]
    again = harness_json("sweep", str(saved), "--dry-run")
    assert {**again, "seconds": 0} == {**planned, "seconds": 0}


@pytest.mark.long
def test_a_new_study_runs_as_it_is_and_is_listed_with_its_folder(study, harness, harness_json):
    folder = study.parent
    assert harness("new", str(folder / "my_new.py")).returncode == 0
    assert harness("new", str(folder / "mine.toml")).returncode == 0
    (folder / "pyproject.toml").write_text("[project]\nname = 'no experiment'\n")
    listed = harness_json("list", str(folder))
    assert [(Path(each["name"]).name, each["kind"]) for each in listed] == [
        ("mine.toml", "sweep"),
        ("my_new.py", "sweep"),
        ("my_study.py", "sweep"),
    ]
    with one_figure():
        ended = harness("sweep", str(folder / "my_new.py"), "--executor", "inline", "--trials", "2", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["outcome"] == "completed"
    sys.modules.pop("my_new")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("new", "mine.json"), "file 'mine.json': expected a name that ends with .toml or .py"),
        (("new", "smoke.toml"), "experiment 'smoke.toml' has the name of a declared experiment"),
        (("new", "none/mine.toml"), "file 'none/mine.toml' can't be written"),
        (("sweep", "none.toml"), "experiment 'none.toml' does not exist: expected a TOML file"),
        (("list", "none"), "folder 'none' does not exist"),
        (("sweep", "smoke", "--set", "batch_size"), "--set 'batch_size' has no '='"),
        (("sweep", "smoke", "--search", "batch_size=32"), "search '32': expected a range or a choice"),
    ],
)
def test_an_invalid_experiment_name_or_setting_is_refused_by_name(project, harness, arguments, message):
    refused = harness(*arguments)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"harness: {message}")
    assert not Path(".harness").exists()
    assert not list(Path().glob("*.toml"))
