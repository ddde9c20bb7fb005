"""Who follows the numbered steps of CONTRIBUTING.md has an optimizer, a dataset and a figure that work."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.database import fresh_database
from tests.mnist_folder import write_mnist, write_small_mnist

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
STEPS = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEP = re.compile(r"^\d+\. (.*?)^   ```python\n(.*?)^   ```$", re.MULTILINE | re.DOTALL)
SMALL = ("--set", "dataset.train_size=320", "--set", "dataset.validation_size=160", "--set", "threads=1")
COMMANDS = """
import contextlib, io, json, sys
from experiments.cli import main

answers = []
for command in json.loads(sys.argv[1]):
    sys.argv = ["harness", *(answers[-1]["run_id"] if each == "RUN_ID" else each for each in command), "--json"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            main()
        except SystemExit as ended:
            assert not ended.code, command
    answers.append(json.loads(printed.getvalue()))
print(json.dumps(answers))
"""


def follow(title: str, copy: Path) -> list[str]:
    """Do what the steps under that title say; return the files that they change."""
    section = STEPS.split(f"## {title}\n")[1].split("\n## ")[0]
    steps = STEP.findall(section)
    assert len(steps) == len(re.findall(r"^\d+\. ", section, re.MULTILINE)) > 0
    changed = []
    for words, block in steps:
        words = " ".join(words.split("\n   "))
        lines = textwrap.dedent(block) if block.startswith("   class") else re.sub(r"(?m)^   ", "", block)
        (name,) = re.findall(r"^(?:In|Write) `([^`]+)`", words)
        path = copy / name
        changed.append(name)
        if words.startswith("Write"):
            path.write_text(lines, encoding="utf-8")
            continue
        ((where, anchor),) = re.findall(r"(before|after) `([^`]+)`", words)
        before, found, after = path.read_text(encoding="utf-8").partition(anchor)
        assert found, f"{name} has no {anchor!r}"
        new = f"{lines}{found}" if where == "before" else f"{found}\n{lines.removesuffix(chr(10))}"
        path.write_text(f"{before}{new}{after}", encoding="utf-8")
    return sorted(set(changed))


def harness(copy: Path, *commands: tuple[str, ...]) -> list[dict]:
    """Return the JSON that commands print in one process of the changed packages; RUN_ID is of the run before."""
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    program = [sys.executable, "-c", COMMANDS, json.dumps(commands)]
    ended = subprocess.run(program, cwd=copy.parent, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@dataclass(frozen=True)
class Followed:
    """A copy of the packages in which all steps are done, the files that each changed, and the commands' answers."""

    copy: Path
    changed: dict[str, list[str]]
    run: dict
    report: dict
    prediction: dict


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Followed:
    """Do all the steps in one copy of the packages, and use what they add in one process."""
    folder = tmp_path_factory.mktemp("followed")
    ignored = shutil.ignore_patterns("*.pyc.*")  # of what another process compiles now
    for package in ("harness", "studies", "reports", "experiments"):
        shutil.copytree(ROOT / package, folder / "copy" / package, ignore=ignored)
    (folder / "mlflow.db").write_bytes(fresh_database())  # which MLflow would take seconds to make
    data = write_mnist(write_small_mnist(folder / "data"), train=960, test=320, name="EMNIST")
    for path in (data / "EMNIST" / "raw").iterdir():
        path.rename(path.with_name(f"emnist-mnist-{path.name.replace('t10k', 'test')}"))
    titles = ("Add an optimizer", "Add a dataset", "Add a figure")
    changed = {title: follow(title, folder / "copy") for title in titles}
    asked = ("run", "chapter", "--epochs", "1", "--data-dir", str(data), *SMALL)
    run, report, _, prediction = harness(
        folder / "copy",
        (*asked, "--set", "optimizer.name=amsgrad", "--set", "optimizer.eps=0.5"),
        ("report", "RUN_ID"),
        (*asked, "--set", "dataset.name=emnist-mnist"),
        ("predict", "RUN_ID", "--data-dir", str(data)),
    )
    return Followed(folder / "copy", changed, run, report, prediction)


def test_adding_an_optimizer_changes_two_files(followed):
    assert len(followed.changed["Add an optimizer"]) == 2
    assert followed.run["outcome"] == "completed"
    check = "from experiments.spaces import SPACES; print(SPACES['amsgrad']['optimizer.lr'].start)"
    printed = subprocess.run(
        [sys.executable, "-c", check], cwd=followed.copy, capture_output=True, text=True, check=True
    ).stdout
    assert printed == "0.001\n"


def test_adding_a_dataset_changes_one_file(followed):
    assert len(followed.changed["Add a dataset"]) == 1
    assert followed.prediction["class_names"] == list("0123456789")


def test_adding_a_figure_changes_two_files(followed):
    assert len(followed.changed["Add a figure"]) == 2
    page = followed.copy.parent / followed.report["report"]
    assert (page.parent / "figures" / "trained-page.svg").exists()
    assert "Epochs that were trained. All runs trained 1 epochs." in page.read_text(encoding="utf-8")
