"""The built wheel, installed outside the checkout, is a whole `harness` that writes into the current folder alone.

It runs as where least is given: nothing but the packages, an empty home, and a locale that has no letter but ASCII's.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path, PurePosixPath

import pytest

from tests.database import fresh_database

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "studies", "reports", "experiments")
TINY = """
kind = "sweep"
shows = "what β is"
cost = "4 epochs of 256 images"
result = "not meant to have one"
[sweep]
optimizers = ["adam", "Adam β"]
variants = { "Adam β" = { "optimizer.name" = "adam", "optimizer.betas" = [0.8, 0.999] } }
budget = 1
trial_epochs = 1
final_seeds = [1]
final_epochs = 1
subset = true
base = { threads = 1, dataset = { train_size = 256, validation_size = 64 }, model = { name = "mlp" } }
"""
# what is opened in the locale's encoding is an error, if it is ours; put into the environment's own start
STRICT = f"import warnings; warnings.filterwarnings('error', '', EncodingWarning, '({'|'.join(PACKAGES)})([.]|$)')"
POOREST = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNDEFAULTENCODING": "1"}
NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
LONGEST_PATH = 150  # of the 259 characters there, the rest is for the folder itself


@dataclass(frozen=True)
class Installed:
    """An environment of its own with nothing but the wheel; dependencies are seen in that of the tests."""

    folder: Path
    wheel: Path

    @property
    def site_packages(self) -> Path:
        (found,) = self.folder.glob("environment/lib/python*/site-packages")
        return found

    def run(self, program: str, *arguments: str) -> str:
        """Run a program in an empty folder with an empty home and temporary folder; return the printed text."""
        system = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        own = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "temporary")}
        process = subprocess.run(
            [self.folder / "environment" / "bin" / program, *arguments],
            cwd=self.folder / "here",
            env=system | own | POOREST,
            capture_output=True,
            encoding="utf-8",
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    def paths(self) -> set[PurePosixPath]:
        """Return all paths in the folders of the installation, except files that Python compiles."""
        paths = (path.relative_to(self.folder) for path in self.folder.rglob("*"))
        return {PurePosixPath(path) for path in paths if "__pycache__" not in path.parts}


def pip(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / "source" / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    shutil.rmtree(folder / "source")
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "environment"], check=True)
    environment = Installed(folder, wheel)
    for name in ("here", "home", "temporary"):
        (folder / name).mkdir()
    pip("--python", folder / "environment" / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    # the packages alone: what is editable there is found through a .pth file, which is not read here
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (environment.site_packages / "tests.pth").write_text("\n".join([*dependencies, STRICT]), encoding="utf-8")
    (environment.site_packages / "experiments" / "tiny.toml").write_text(TINY, encoding="utf-8")
    return environment


@pytest.fixture(scope="module")
def written(installed):
    """The files and folders that a sweep, its report and its registered model write."""
    here = installed.folder / "here"
    (here / "mlflow.db").write_bytes(fresh_database())  # which MLflow would take seconds to make
    before = installed.paths()
    page = Path(installed.run("harness", "sweep", "tiny", "--executor", "inline").split()[-1])
    assert page.is_relative_to(here)
    assert "Adam β" in page.read_text(encoding="utf-8")
    assert "models:/digits/1" in installed.run("harness", "register", "--name", "digits")
    return installed.paths() - before


def test_the_wheel_holds_every_file_of_the_packages_and_its_licences(installed):
    files = (path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    ours = {path.as_posix() for path in files if "__pycache__" not in path.parts and "gallery" not in path.parts}
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = wheel.namelist()
        (metadata,) = (message_from_string(wheel.read(name).decode()) for name in names if name.endswith("METADATA"))
    assert {name for name in names if ".dist-info/" not in name} == ours
    assert metadata["License-Expression"] == "MIT"
    licences = metadata.get_all("License-File")
    assert licences == ["LICENSE", "harness/datasets/mnist/README.md"]
    assert all(any(name.endswith(f".dist-info/licenses/{licence}") for name in names) for licence in licences)


def test_packages_are_imported_from_the_installed_wheel(installed):
    program = f"import importlib; print(*(importlib.import_module(name).__file__ for name in {PACKAGES}))"
    places = [Path(place) for place in installed.run("python", "-c", program).split()]
    assert places == [installed.site_packages / package / "__init__.py" for package in PACKAGES]


def test_output_is_utf_8_in_any_locale(installed):
    assert "what β is" in installed.run("harness", "list")


def test_a_sweep_and_its_report_are_written_into_the_current_folder_and_nowhere_else(written):
    assert {path.parts[0] for path in written} == {"here"}
    assert {path.parts[1] for path in written} == {"mlartifacts", ".harness"}


def test_every_file_that_is_written_has_a_name_that_windows_takes(written):
    assert [path for path in written if any(NOT_ON_WINDOWS.search(part) for part in path.parts)] == []
    assert len({str(path).casefold() for path in written}) == len(written)
    assert max(len(str(path.relative_to("here"))) for path in written) <= LONGEST_PATH
