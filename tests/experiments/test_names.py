"""A file's name decides what Python imports; where that is not the file, or nothing, a line says so in words."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.catalog import load_sweep
from harness.config.imports import OURS
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.read import latest_sweep, read_run
from tests.database import fresh_database
from tests.tiny import one_figure

ROOT = Path(__file__).parents[2]
STUDY = """
from torch import nn

from harness.config import DatasetConfig, RunConfig, with_settings
from studies.definition import SweepDefinition


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))


base = RunConfig(dataset=DatasetConfig(train_size=320, validation_size=160), threads=1)
sweep = SweepDefinition(
    base=OWN,
    optimizers=("sgd",),
    space={},
    spaces={},
    budget=2,
    trial_epochs=1,
    final_seeds=(1,),
    final_epochs=1,
    subset=True,
)
"""


EDITABLE = f"""
import sys
from importlib.machinery import PathFinder


class Editable:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [{str(ROOT)!r}]) if name in {OURS!r} else None


sys.meta_path.insert(sys.meta_path.index(PathFinder) + 1, Editable)
"""


def with_editable_install() -> dict[str, str]:
    """The environment in which ours are found after all of Python's path, as setuptools' editable install has it."""
    Path("editable").mkdir()
    Path("editable/sitecustomize.py").write_text(EDITABLE, encoding="utf-8")
    return os.environ | {"PYTHONPATH": str(Path("editable").absolute())}


def write_study(path: str, own: bool = False) -> None:
    name = Path(path).stem
    base = f'with_settings(base, {{"model.name": "{name}:Net"}})' if own else "base"
    Path(path).write_text(STUDY.replace("OWN", base), encoding="utf-8")


@pytest.fixture(autouse=True)
def modules_as_they_were(monkeypatch):
    """Remove the modules that the command imported in this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in ("lr-sweep", "lr_sweep", "sizes"):
        sys.modules.pop(name, None)


def refused(harness, *arguments: str) -> str:
    result = harness(*arguments)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert not Path("mlartifacts").exists()
    return result.stderr


@pytest.mark.parametrize("name", ["test", "random", "experiments", "harness", "time"])
def test_a_file_named_like_another_module_is_refused_with_the_module_imported(harness, name):
    write_study(f"{name}.py", own=True)
    there = getattr(sys.modules.get(name) or __import__(name), "__file__", None)
    imported = f"the file {there!r}" if there else "a part of Python itself"
    said = refused(harness, "sweep", f"./{name}.py")
    assert f"Python imports {imported} instead" in said
    assert said.endswith("rename the file\n")
    said = refused(harness, "run", "chapter", "--set", f"model.name={name}:Net")
    assert (
        f"module {name!r} is {imported}, which does not define 'Net' and hides {str(Path(f'{name}.py').absolute())!r}"
        in said
    )


def test_a_file_name_that_python_cannot_import_is_refused_with_a_better_name(harness):
    write_study("lr-sweep.py", own=True)
    assert "rename its file to lr_sweep.py" in refused(harness, "sweep", "./lr-sweep.py")
    said = refused(harness, "run", "chapter", "--set", "model.name=lr-sweep:Net")
    assert "rename its file to lr_sweep.py" in said
    assert "^" not in said
    write_study("lr-sweep.py")
    assert load_sweep("./lr-sweep.py").sweep.optimizers == ("sgd",)  # with nothing of its own it needs no such name
    write_study("lr.sweep.py")
    assert "rename the file to lr_sweep.py" in refused(harness, "sweep", "./lr.sweep.py")
    write_study("lr_sweep.py", own=True)
    for name in ("./lr_sweep.py:Net", "lr_sweep.py:Net"):
        assert "write 'lr_sweep:Net'" in refused(harness, "run", "chapter", "--set", f"model.name={name}")
    assert load_sweep("./lr_sweep.py").sweep.base.model.name == "lr_sweep:Net"


def test_a_run_command_without_its_arguments_is_refused_with_advice(harness):
    said = refused(harness, "run")
    assert "None" not in said
    assert "no run is given" in said
    assert "harness list" in said
    assert "expected --resume alone" in refused(harness, "run", "chapter", "--resume", "abc")
    assert "expected --resume alone" in refused(harness, "run", "--resume", "abc", "--epochs", "2")


@pytest.mark.slow
def test_status_prints_the_command_that_resumes_a_stopped_sweep(harness, data):
    write_study("sizes.py")
    said = [
        "sweep",
        "./sizes.py",
        "--executor",
        "inline",
        "--sampler",
        "random",
        "--no-pruning",
        "--data-dir",
        "data",
    ]
    with one_figure():
        assert harness(*said).returncode == 0
    sweep_id = latest_sweep()
    connect(tracking_uri()).set_tag(sweep_id, "harness.outcome", "killed")
    shown = harness("status").stdout
    assert "stopped; `harness sweep ./sizes.py --sampler random --no-pruning` resumes it" in shown
    _, *words = shlex.split(shown.split("`")[1])
    with one_figure():
        assert harness(*words, "--executor", "inline", "--data-dir", "data").returncode == 0
    assert latest_sweep() == sweep_id
    assert read_run(sweep_id).data.tags["harness.outcome"] == "completed"

    connect(tracking_uri()).set_tag(sweep_id, "harness.outcome", "killed")
    connect(tracking_uri()).delete_tag(sweep_id, "harness.command")  # as of a sweep of before there was one
    assert "stopped; `harness sweep sizes` resumes it" in harness("status").stdout


@pytest.mark.slow
def test_python_m_harness_works_whatever_the_names_of_files_in_the_folder(project):
    for name in ("random", "token", "queue", "experiments"):
        Path(f"{name}.py").write_text("raise SystemExit('a file of the user was imported')\n", encoding="utf-8")
    for name in ("experiments", "reports", "studies"):
        Path(name).mkdir()
    write_study("sizes.py", own=True)
    environment = with_editable_install()

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        whole = [sys.executable, "-m", "harness", *arguments]
        return subprocess.run(whole, capture_output=True, text=True, check=False, env=environment)

    assert "Usage: harness run [OPTIONS]" in command("run", "--help").stdout
    wrong = command("run", "--hlp")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("harness: No such option: --hlp")
    planned = command("sweep", "./sizes.py", "--dry-run", "--workers", "1")  # in a process that a worker is
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.startswith("sizes: 3 epochs of 320 images")


@pytest.mark.slow
def test_folders_named_like_our_packages_do_not_hide_them(data):
    for name in ("experiments", "reports", "studies"):
        Path(name).mkdir()
    write_study("sizes.py", own=True)
    Path("mlflow.db").write_bytes(fresh_database())
    command = [sys.executable, "-P", "-c", "from experiments.cli import main; main()"]  # as the installed command
    arguments = ["sweep", "sizes.py", "--workers", "1", "--data-dir", "data"]
    environment = with_editable_install()
    process = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=environment)
    assert process.returncode == 0, process.stderr
    assert "report.html" in process.stdout


NEEDED = {
    "experiments": "import experiments.mine",
    "studies": "from studies import mine",
    "reports": "from reports.mine import A",
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_study_that_imports_a_folder_named_like_our_package_is_refused_with_advice(harness, project, name):
    Path(name).mkdir()
    Path(name, "mine.py").write_text("A = 1\n", encoding="utf-8")
    write_study("sizes.py")
    Path("sizes.py").write_text(f"{NEEDED[name]}\n{Path('sizes.py').read_text(encoding='utf-8')}", encoding="utf-8")
    said = refused(harness, "sweep", "sizes.py")
    assert f"folder {str(project / name)!r} has the name of a package of the harness" in said
    assert said.endswith("rename the folder\n")


def test_a_part_in_a_folder_named_like_our_package_is_refused_with_advice(harness, project):
    Path("studies").mkdir()
    Path("studies/__init__.py").write_text("class Net: ...\n", encoding="utf-8")
    Path("studies/mine.py").write_text("class Net: ...\n", encoding="utf-8")
    said = refused(harness, "run", "chapter", "--set", "model.name=studies.mine:Net")
    assert f"folder {str(project / 'studies')!r} has the name of a package of the harness" in said
    said = refused(harness, "run", "chapter", "--set", "model.name=studies:Net")
    assert f"hides {str(project / 'studies')!r}; rename the hidden file or folder" in said
