"""The Makefile: what it prints, what it passes on, and that no result goes without a yes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.browser import installed_browser

pytestmark = pytest.mark.posix

RESULTS = ("mlflow.db", "mlflow.db-wal", "mlartifacts/run/state.pt", ".harness/sweeps/optuna.journal")


@pytest.fixture
def make(tmp_path):
    shutil.copy(Path(__file__).parents[1] / "Makefile", tmp_path)
    for name in (
        *RESULTS,
        "requirements.lock",
        "pyproject.toml",
        "build/lib/module.py",
        "harness/__pycache__/module.pyc",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    # A make that runs the tests hands its level to this one, which would then say which folder it enters.
    environment = {name: value for name, value in os.environ.items() if name not in {"MAKELEVEL", "MAKEFLAGS"}}

    def run(*arguments, answer=""):
        return subprocess.run(
            ["make", *arguments],
            cwd=tmp_path,
            env=environment,
            input=answer,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return run


def test_alone_it_prints_each_target_with_a_line(make):
    lines = [line.split(maxsplit=1) for line in make().splitlines()]
    assert {"sweep", "report", "test", "clean"} <= {line[0] for line in lines}
    assert all(len(line) == 2 for line in lines)


def test_sweep_takes_an_experiment_and_workers(make):
    assert "harness sweep fashion --workers 2\n" in make("-n", "sweep", "EXPERIMENT=fashion", "WORKERS=2")
    assert "harness sweep optimizers" in make("-n", "sweep")


@pytest.mark.parametrize(
    ("target", "program", "called"),
    [
        ("sweep", "harness", "sweep optimizers"),
        ("report", "harness", "report"),
        ("run", "harness", "run chapter"),
        ("ui", "harness", "ui"),
        ("test", "python", "-m pytest --numprocesses=3"),
        ("test-fast", "python", "-m pytest -m not slow and not long"),
        ("bench", "python", "-m tests.benchmarks"),
    ],
)
def test_a_target_runs_its_command(make, tmp_path, target, program, called):
    stand_in(tmp_path, program, 'echo "called with $*"')
    assert f"called with {called}" in make(target).splitlines()


def test_the_lowest_versions_are_in_an_environment_of_their_own(make):
    said = make("-n", "test-lowest").splitlines()
    assert said[0] == "python3 -m venv .venv-lowest"
    assert all(line.startswith((".venv-lowest/bin/", "touch .venv-lowest/")) for line in said[1:])
    assert "--resolution lowest-direct" in said[2]
    assert said[-1] == '.venv-lowest/bin/python -m pytest -m "not slow" -W default'


def stand_in(folder, program, script):
    """For a program of the environment, which is there already."""
    path = folder / ".venv" / "bin" / program
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    (folder / ".venv" / ".made-from-lock").touch()


def test_clean_leaves_every_result(make, tmp_path):
    make("clean")
    assert all((tmp_path / name).exists() for name in RESULTS)
    assert not (tmp_path / "build").exists()
    assert not (tmp_path / "harness" / "__pycache__").exists()


@pytest.mark.parametrize(("answer", "kept"), [("\n", True), ("n\n", True), ("", True), ("y\n", False)])
def test_clean_results_asks(make, tmp_path, answer, kept):
    assert "[y/N]" in make("clean-results", answer=answer)
    assert all((tmp_path / name).exists() == kept for name in RESULTS)
    assert (tmp_path / "build").exists()


@pytest.mark.slow
def test_gallery_is_a_picture_of_the_default_sweeps_report(make, tmp_path):
    installed_browser()
    page = tmp_path / "report.html"
    page.write_text("<title>report</title><body style='background: red'>", encoding="utf-8")
    stand_in(tmp_path, "harness", f"""test "$*" = "sweep optimizers --json" && echo '{{"report": "{page}"}}'""")
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    make("gallery")
    with Image.open(tmp_path / "reports" / "gallery" / "optimizers.png") as picture:
        assert (picture.width, picture.convert("RGB").getpixel((480, 100))) == (960, (255, 0, 0))
