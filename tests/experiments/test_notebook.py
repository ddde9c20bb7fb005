"""The chapter as a notebook runs from its first cell to its last, and a notebook's own classes can be compared."""

import copy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from harness.tracking.read import latest_sweep

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of Jupyter's own

NOTEBOOK = Path(__file__).parents[2] / "experiments" / "chapter.ipynb"
MOST_BYTES = 300_000
SMALL = 'settings = {"dataset.train_size": 640, "dataset.validation_size": 320}'
DEFINES = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
"""
COMPARES = """
from experiments import sweep

found = sweep(
    optimizers=["sgd", "adam"], model=Net, seeds=2, replicates=1, budget=1, epochs=1, executor={executor!r},
    settings={{"dataset.train_size": 640, "dataset.validation_size": 320, "threads": 1}}, name="mine",
)
print(found.run_id)
found
"""


def executed(notebook, folder):
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def notebook_of(*cells):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])


def kinds(cell):
    """What a cell shows: texts, tables, pictures."""
    return {kind for each in cell.outputs for kind in each.get("data", {"stream": each.get("name")})}


def printed(cell):
    return "".join(each.text for each in cell.outputs if each.output_type == "stream" and each.name == "stdout")


def test_the_chapters_notebook_runs_and_has_kept_what_it_showed(project):
    stored = nbformat.read(NOTEBOOK, as_version=4)
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    small = copy.deepcopy(stored)
    (settings,) = (cell for cell in small.cells if cell.source == "settings = {}")
    settings.source = SMALL
    for cell in small.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    ran = executed(small, project)
    for cell, then in zip(ran.cells, stored.cells, strict=True):
        if cell.cell_type == "code":
            assert kinds(cell) == kinds(then)


def test_a_class_of_a_notebooks_cell_is_compared_inline_and_is_another_one_once_it_is_edited(project):
    compare = COMPARES.format(executor="inline")
    ran = executed(notebook_of("WIDTH = 8" + DEFINES, compare, compare, "WIDTH = 16", compare), project)
    first, again, other = (printed(ran.cells[number]).strip() for number in (1, 2, 4))
    assert first == again
    assert other == latest_sweep() != first
    (shown,) = (
        each
        for each in ran.cells[1].outputs
        if "text/html" in each.get("data", {}) and each.output_type == "execute_result"
    )
    assert "data:image/png" in shown.data["text/html"]
    live = [each for each in ran.cells[1].outputs if each.output_type == "display_data"]
    assert "optimizer" in live[0].data["text/html"]


def test_a_class_of_a_notebooks_cell_is_refused_for_workers_that_do_not_find_it(project):
    with pytest.raises(CellExecutionError, match=r"'Net' is defined in the notebook.*executor=\"inline\""):
        executed(notebook_of("WIDTH = 8" + DEFINES, COMPARES.format(executor="local")), project)
    assert not Path(".harness/sweeps").exists()
