"""The chapter as a notebook runs from its first cell to its last, and a notebook's own classes can be compared."""

import copy
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from harness.tracking.read import latest_sweep
from tests.database import fresh_database

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of Jupyter's own

NOTEBOOK = Path(__file__).parents[2] / "experiments" / "chapter.ipynb"
MOST_BYTES = 300_000
SMALL = 'settings = {"dataset.train_size": 640, "dataset.validation_size": 320}'
FEWER = """
from harness.training import files
from harness.training.images import Split
from reports import page

read, draw = files._read_shipped_mnist, page.rendered_figures


def with_few_to_test_on():
    train, test = read()
    return train, Split(test.images[:320], test.labels[:320])


files._read_shipped_mnist = with_few_to_test_on
page.rendered_figures = lambda pictures, *how: draw(dict(list(pictures.items())[:1]), *how)
"""  # else most of the time goes to 10,000 images to test on, and to figures that nobody looks at
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
    (folder / "mlflow.db").write_bytes(fresh_database())  # which MLflow would take seconds to make
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def code(source, **metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def kinds(cell):
    """Return the kinds of output of a cell: texts, tables, pictures."""
    return {kind for each in cell.outputs for kind in each.get("data", {"stream": each.get("name")})}


def printed(cell):
    return "".join(each.text for each in cell.outputs if each.output_type == "stream" and each.name == "stdout")


def test_the_chapters_notebook_runs_and_shows_the_kinds_of_output_that_are_stored(project):
    stored = nbformat.read(NOTEBOOK, as_version=4)
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    small = copy.deepcopy(stored)
    (settings,) = (cell for cell in small.cells if cell.source == "settings = {}")
    settings.source = SMALL
    for cell in small.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    small.cells.insert(0, code(FEWER))
    ran = executed(small, project)
    for cell, then in zip(ran.cells[1:], stored.cells, strict=True):
        if cell.cell_type == "code":
            assert kinds(cell) == kinds(then)


def test_a_class_in_a_notebook_needs_the_inline_executor_and_an_edit_begins_a_new_sweep(project):
    compare = COMPARES.format(executor="inline")
    defined = code("WIDTH = 8" + DEFINES)
    refused = code(COMPARES.format(executor="local"), tags=["raises-exception"])
    begun = code("from pathlib import Path; print(Path('.harness/sweeps').exists())")
    cells = [code(FEWER), defined, refused, begun, code(compare), code(compare), code("WIDTH = 16"), code(compare)]
    *_, refused, begun, first, again, _, other = executed(nbformat.v4.new_notebook(cells=cells), project).cells
    (error,) = (each for each in refused.outputs if each.output_type == "error")
    assert re.search(r"'Net' is defined in the notebook.*executor=\"inline\"", error.evalue), error.evalue
    assert printed(begun) == "False\n"

    assert printed(first) == printed(again)
    assert printed(other).strip() == latest_sweep() != printed(first).strip()
    (shown,) = (
        each for each in first.outputs if "text/html" in each.get("data", {}) and each.output_type == "execute_result"
    )
    assert "data:image/png" in shown.data["text/html"]
    live = [each for each in first.outputs if each.output_type == "display_data"]
    assert "optimizer" in live[0].data["text/html"]
