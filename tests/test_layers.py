"""Imports go down only, between packages and between folders, without circles; each outside library has one home."""

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import networkx as nx
import pytest

import reports

ROOT = Path(__file__).parent.parent
FLOORS = {"harness": 1, "studies": 2, "reports": 3, "experiments": 4}
# who may import a library, by the beginnings of modules' names
HOMES = {
    "mlflow": ("harness.tracking.", "harness.export"),
    "optuna": ("studies.search.",),
    "ray": ("studies.executors.ray",),
    "torch": ("harness.", "studies.", "experiments.api."),  # there for types alone
    "torchvision": ("harness.training.",),
    "sklearn": ("harness.training.",),
    "matplotlib": ("reports.",),
    "seaborn": ("reports.",),
    "typer": ("experiments.cli.",),
}


def named(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {named(path): path for package in FLOORS for path in sorted((ROOT / package).rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """Everything that a module may import, at its top, in its functions and for its types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (each if each in MODULES else str(node.module) for each in submodules)


def graph() -> "nx.DiGraph[str]":
    """Our modules, each with an edge to what it imports of them."""
    edges = ((name, other) for name, path in MODULES.items() for other in imported(path) if other in MODULES)
    return nx.DiGraph(edges)


def circles(of: "nx.DiGraph[str]") -> list[set[str]]:
    return [each for each in nx.strongly_connected_components(of) if len(each) > 1]


def in_folders(edges: Iterable[tuple[str, str]]) -> "nx.DiGraph[str]":
    """The graph of folders; a module that is in no folder of its package stands for itself."""

    def folder(name: str) -> str:
        return ".".join(name.split(".")[:2])

    return nx.DiGraph((folder(one), folder(other)) for one, other in edges if folder(one) != folder(other))


def test_no_modules_import_each_other_in_a_circle():
    assert circles(graph()) == []


def test_no_folders_import_each_other_in_a_circle():
    assert circles(in_folders(graph().edges)) == []


def test_circular_imports_of_modules_and_of_folders_are_found():
    edges = [("a.x.one", "a.y.two"), ("a.y.three", "a.x.four"), ("a.five", "a.six")]
    assert circles(nx.DiGraph(edges)) == []
    assert circles(in_folders(edges)) == [{"a.x", "a.y"}]
    assert circles(nx.DiGraph([*edges, ("a.six", "a.five")])) == [{"a.five", "a.six"}]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_lower_packages_and_libraries_that_belong_to_it(name):
    package = name.partition(".")[0]
    for other in imported(MODULES[name]):
        top = other.partition(".")[0]
        assert FLOORS.get(top, 0) <= FLOORS[package]
        assert top not in HOMES or f"{name}.".startswith(HOMES[top]), f"{name} imports {top}"


@pytest.mark.slow
def test_reports_and_status_import_neither_torch_nor_optuna():
    of_reports = [each.name for each in pkgutil.walk_packages(reports.__path__, "reports.")]
    modules = [*of_reports, "experiments.cli.terminal", "studies.snapshot", "studies.definition"]
    check = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules or 'optuna' in sys.modules)"
    assert len(of_reports) > 10
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0
