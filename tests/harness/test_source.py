"""The source of own parts is their files and what these import from the user's folders; none is imported for it."""

import importlib.metadata
import shutil
import sys

import pytest

from harness.config import RunConfig, with_settings
from harness.provenance.source import own_source

FILES = {
    "written.py": "import json, numpy, torch\nfrom beside import width\nimport written_package.deep.net\n"
    "def make():\n    from written_late import thing\n    return thing\n",
    "beside.py": "from harness.config import RunConfig\nwidth = 3\n",
    "written_late.py": "import missing_module\n",
    "written_package/__init__.py": "from . import names\n",
    "written_package/names.py": "raise RuntimeError('nothing imports this')\n",
    "written_package/shared.py": "",
    "written_package/other.py": "this is no Python(\n",
    "written_package/deep/__init__.py": "",
    "written_package/deep/net.py": "from ..shared import thing\nfrom .. import other\n"
    "from spaces.inner import leaf\n",
    "spaces/inner/leaf.py": "",  # in two folders that are no packages
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in {**FILES, "unused.py": "", "written_package/unused.py": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_source_has_the_users_imported_files_and_is_found_without_importing_them(folder):
    before = set(sys.modules)
    assert set(own_source(["written:Net"]).files) == set(FILES)
    assert not {name for name in set(sys.modules) - before if name.startswith(("written", "beside", "spaces"))}


@pytest.mark.parametrize("name", FILES)
def test_an_edited_file_changes_the_source_of_that_file_only(folder, name):
    then = own_source(["written:Net"])
    (folder / name).write_text(FILES[name] + "# edited\n")
    now = own_source(["written:Net"])
    assert {file for file in FILES if then.files[file] != now.files[file]} == {name}
    assert then.digest != now.digest


def test_unimported_files_and_a_moved_folder_do_not_change_the_source(folder, tmp_path_factory, monkeypatch):
    then = own_source(["written:Net"])
    (folder / "unused.py").write_text("edited = True\n")
    assert own_source(["written:Net"]) == then
    moved = tmp_path_factory.mktemp("moved") / "project"
    shutil.move(folder, moved)
    monkeypatch.syspath_prepend(moved)
    assert own_source(["written:Net"]) == then


def test_the_source_of_an_installed_package_is_its_version_and_torch_has_none(folder):
    (folder / "written.py").write_text("from pytorch_optimizer import Lion\n")
    version = importlib.metadata.version("pytorch_optimizer")
    assert set(own_source(["written:Mine"]).files) == {"written.py", "pytorch_optimizer"}
    assert own_source(["pytorch_optimizer:Lion"]).files == {"pytorch_optimizer": version}
    assert own_source(["torch.nn:Flatten"]).digest == ""


@pytest.mark.parametrize(
    ("edited", "same"),
    [
        ("class Net: pass\n\nsweep = SweepDefinition(\n    budget=8,\n    seed=1,\n)\n", True),
        ("class Net: a = 1\n\nsweep = SweepDefinition(\n    budget=4,\n)\n", False),
        ("class Net: pass\n\nsweep = SweepDefinition(\n    budget=4,\n)\nclass More: pass\n", False),
    ],
)
def test_the_source_of_own_parts_leaves_out_the_definition_in_the_same_file(folder, edited, same):
    path = folder / "written.py"
    path.write_text("class Net: pass\n\nsweep = SweepDefinition(\n    budget=4,\n)\n")
    then = own_source(["written:Net"])
    path.write_text(edited)
    assert (own_source(["written:Net"]) == then) is same


def test_a_run_has_the_source_of_its_own_parts_alone():
    own = "tests.own.signatures:Annotated"
    source = own_source([own, "pytorch_optimizer:Lion"])
    assert set(source.files) == {"tests/own/__init__.py", "tests/own/signatures.py", "pytorch_optimizer"}
    of_one = source.of(with_settings(RunConfig(), {"model.name": own}))
    assert set(of_one.files) == {"tests/own/__init__.py", "tests/own/signatures.py"}
    assert source.of(RunConfig()).digest == ""
