"""The Makefile: what it prints, what it passes on, and that no result goes without a yes."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.posix

RESULTS = ("mlflow.db", "mlflow.db-wal", "mlartifacts/run/state.pt", ".harness/sweeps/optuna.journal")
NEEDED = '[project]\nrequires-python = ">={}"\n'


@pytest.fixture
def called(tmp_path):
    """Calls make in a folder of its own, and gives the process that has ended."""
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
    (tmp_path / "pyproject.toml").write_text(NEEDED.format("3.11"))

    # A make that runs the tests hands its level to this one, which would then say which folder it enters.
    unwanted = {"MAKELEVEL", "MAKEFLAGS", "PIP_EXTRA_INDEX_URL", "UV"}
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}

    def call(*arguments, answer="", stdout=subprocess.PIPE, **variables):
        return subprocess.run(
            ["make", *arguments],
            cwd=tmp_path,
            env=environment | variables,
            input=answer,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    return call


@pytest.fixture
def make(called):
    """Return a function that runs make without an error and gives the printed text."""

    def printed(*arguments, **options):
        process = called(*arguments, **options)
        process.check_returncode()
        return process.stdout

    return printed


def test_make_without_a_target_prints_a_line_for_each_target(make):
    lines = [line.split(maxsplit=1) for line in make().splitlines()]
    assert {"sweep", "report", "test", "clean"} <= {line[0] for line in lines}
    assert all(len(line) == 2 for line in lines)


@pytest.fixture
def python(tmp_path):
    """A Python whose environments have one that says what it is called with; and a `uv` that does the same."""
    program(tmp_path / "uv", 'echo "uv called with $*"')
    program(tmp_path / "said", 'echo "python called with $*"')
    made = "mkdir -p .venv/bin; cp said .venv/bin/python"
    return program(tmp_path / "python", f'if [ "$1" = -c ]; then exec "{sys.executable}" "$@"; fi; {made}')


def program(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def all_of(terminal):
    """Return all text printed on a terminal that is closed for writing."""
    shown = b""
    with contextlib.suppress(OSError):  # as its end is told on Linux
        while more := os.read(terminal, 10_000):
            shown += more
    os.close(terminal)
    return shown.decode()


@pytest.mark.parametrize(
    ("uv", "called_with"),
    [("", "python called with -m pip install"), ("./uv", "uv called with pip install --python .venv/bin/python")],
)
def test_setup_shows_installation_progress_only_on_a_terminal(make, python, uv, called_with):
    import pty  # which Windows lacks

    printed = make("setup", f"PYTHON={python}", f"UV={uv}")
    assert f"{called_with} --quiet --no-compile --requirement requirements.lock" in printed
    ours, its = pty.openpty()
    make("setup", "--always-make", f"PYTHON={python}", f"UV={uv}", stdout=its)
    os.close(its)
    shown = all_of(ours)
    assert f"{called_with} --no-compile --requirement requirements.lock" in shown
    assert "--quiet --" not in shown


def test_setup_finds_uv_and_passes_pips_extra_index_to_it(make, python):
    path = f"{python.parent}:{os.environ['PATH']}"
    index = "https://download.pytorch.org/whl/cpu"
    printed = make("-n", "setup", f"PYTHON={python}", PATH=path, PIP_EXTRA_INDEX_URL=index)
    assert f"uv pip install --python .venv/bin/python --index-strategy unsafe-best-match --index {index} " in printed
    assert "--index" not in make("-n", "setup", f"PYTHON={python}", PATH=path)


def test_setup_explains_how_to_get_torchs_cpu_build_unless_it_is_requested(make, python):
    first, *_ = make("setup", f"PYTHON={python}").splitlines()
    assert first.endswith("for its CPU build: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make setup")
    with_it = make("setup", "--always-make", f"PYTHON={python}", PIP_EXTRA_INDEX_URL="https://here")
    assert "CPU" not in with_it


@pytest.mark.parametrize(("needed", "name"), [("99.1", sys.executable), ("3.11", "no-such-python")])
def test_a_wrong_python_is_refused_in_one_line_before_anything_is_installed(called, tmp_path, needed, name):
    (tmp_path / "pyproject.toml").write_text(NEEDED.format(needed))
    process = called("setup", f"PYTHON={name}")
    assert (process.returncode, process.stdout) == (2, "")
    (line,) = process.stderr.splitlines()
    assert f"{name} is not Python {needed} or newer; name one that is: make setup PYTHON=python{needed}" in line
    assert not (tmp_path / ".venv").exists()


def test_sweep_takes_an_experiment_and_workers(make):
    assert "harness sweep fashion --workers 2\n" in make("-n", "sweep", "EXPERIMENT=fashion", "WORKERS=2")
    assert "harness sweep optimizers" in make("-n", "sweep")


def test_notebook_opens_the_chapter(make):
    printed = make("-n", "notebook")
    assert "pip install $quiet --editable '.[notebook]'" in printed
    assert printed.endswith("jupyter lab experiments/chapter.ipynb\n")


@pytest.mark.parametrize(
    ("target", "name", "words"),
    [
        ("sweep", "harness", "sweep optimizers"),
        ("report", "harness", "report"),
        ("run", "harness", "run chapter"),
        ("ui", "harness", "ui"),
        ("test", "python", "-m pytest"),
        ("test-fast", "python", "-m pytest -m not slow and not long"),
        ("bench", "python", "-m tests.benchmarks"),
        ("gallery", "python", "-m tests.gallery"),
    ],
)
def test_a_target_runs_its_command(make, tmp_path, target, name, words):
    stand_in(tmp_path, name, 'echo "called with $*"')
    assert f"called with {words}" in make(target).splitlines()


def test_the_lowest_versions_are_in_an_environment_of_their_own(make):
    said = make("-n", "test-lowest").splitlines()
    assert said[0] == "python3 -m venv .venv-lowest"
    assert all(line.startswith((".venv-lowest/bin/", "touch .venv-lowest/")) for line in said[1:])
    assert "--resolution lowest-direct" in said[2]
    assert said[-1] == '.venv-lowest/bin/python -m pytest -m "not slow" -W default'


def stand_in(folder, name, script):
    """Write a script in place of a program of the environment, which counts as made."""
    path = folder / ".venv" / "bin" / name
    path.parent.mkdir(parents=True)
    program(path, script)
    (folder / ".venv" / ".made-from-lock").touch()


def test_clean_leaves_every_result(make, tmp_path):
    make("clean")
    assert all((tmp_path / name).exists() for name in RESULTS)
    assert not (tmp_path / "build").exists()
    assert not (tmp_path / "harness" / "__pycache__").exists()


@pytest.mark.parametrize(("answer", "kept"), [("\n", True), ("n\n", True), ("", True), ("y\n", False)])
def test_clean_results_asks_before_it_deletes(make, tmp_path, answer, kept):
    assert "[y/N]" in make("clean-results", answer=answer)
    assert all((tmp_path / name).exists() == kept for name in RESULTS)
    assert (tmp_path / "build").exists()
