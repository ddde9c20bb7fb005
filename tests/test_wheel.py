"""The built wheel, installed outside the checkout, is a whole `harness` that writes into the current folder alone."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "studies", "reports", "experiments")
TINY = """
kind = "sweep"
shows = "that it runs"
cost = "2 epochs of 64 images"
result = "not meant to have one"
[sweep]
optimizers = ["adam"]
budget = 1
trial_epochs = 1
final_seeds = [1]
final_epochs = 1
subset = true
space = { batch_size = { kind = "choice", choices = [32, 64] } }
base = { threads = 1, dataset = { train_size = 64, validation_size = 64 } }
"""


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
        """What it prints, in an empty folder, with an empty home and an empty folder for temporary files."""
        for name in ("here", "home", "temporary"):
            (self.folder / name).mkdir(exist_ok=True)
        system = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        return subprocess.run(
            [self.folder / "environment" / "bin" / program, *arguments],
            cwd=self.folder / "here",
            env=system | {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "temporary")},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def written(self) -> set[str]:
        """Whatever is in its folders, but what Python itself compiles."""
        files = {path.relative_to(self.folder) for path in self.folder.rglob("*")}
        return {path.as_posix() for path in files if "__pycache__" not in path.parts}


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
    pip("--python", folder / "environment" / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    # the packages alone: what is editable there is found through a .pth file, which is not read here
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (environment.site_packages / "dependencies.pth").write_text("\n".join(dependencies), encoding="utf-8")
    return environment


def test_the_wheel_holds_every_file_of_the_packages_and_its_licences(installed):
    files = (path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    ours = {path.as_posix() for path in files if "__pycache__" not in path.parts and "gallery" not in path.parts}
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = wheel.namelist()
        (metadata,) = (message_from_string(wheel.read(name).decode()) for name in names if name.endswith("METADATA"))
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == ours
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE", "harness/datasets/mnist/README.md"]
    for licence in metadata.get_all("License-File"):
        assert any(name.endswith(f".dist-info/licenses/{licence}") for name in names)


def test_what_is_imported_is_what_was_installed(installed):
    program = f"import importlib; print(*(importlib.import_module(name).__file__ for name in {PACKAGES}))"
    places = [Path(place) for place in installed.run("python", "-c", program).split()]
    assert places == [installed.site_packages / package / "__init__.py" for package in PACKAGES]
    assert "optimizers" in installed.run("harness", "list")


def test_a_sweep_and_its_report_are_written_into_the_current_folder_and_nowhere_else(installed):
    (installed.site_packages / "experiments" / "tiny.toml").write_text(TINY, encoding="utf-8")
    before = installed.written()
    page = Path(installed.run("harness", "sweep", "tiny", "--executor", "inline").split()[-1])
    assert page.name == "report.html"
    assert page.is_relative_to(installed.folder / "here")
    new = installed.written() - before
    assert {Path(name).parts[0] for name in new} == {"here"}
    assert {Path(name).parts[1] for name in new if name != "here"} == {"mlflow.db", "mlartifacts", ".harness"}
