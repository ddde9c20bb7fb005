"""pyproject.toml declares what is imported and nothing else, and bounds the versions whose private parts are used."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "studies", "reports", "experiments")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = {*PACKAGES, "tests"}
PARTS = {"mlflow-skinny": "mlflow", "mlflow-tracing": "mlflow"}  # MLflow is installed as three distributions
LOADED_BY_OTHERS = {"nvidia-ml-py", "psutil", "psycopg"}  # MLflow's system metrics; SQLAlchemy, by an address
PRIVATE_MODULES = {"mlflow.store": "mlflow", "mlflow.utils": "mlflow", "torch._dynamo": "torch"}
PRIVATE_NAMES = {
    "_buffers": "torch",
    "_modules": "torch",
    "_non_persistent_buffers_set": "torch",
    "_trial_id": "optuna",
    "_exit": "",  # these are Python's own, and documented
    "_asdict": "",
    "_fields": "",
}


def declared(*extras: str) -> dict[str, Requirement]:
    """Return the requirements of the package and of these extras, by canonical name."""
    lines = [*PROJECT["dependencies"]]
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def trees(*folders: str) -> Iterator[ast.AST]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "compatibility/project" in path.as_posix():  # a person's own files, which import each other
                continue
            yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


@cache
def imported(*folders: str) -> frozenset[str]:
    """The modules outside these folders and Python itself, imports inside functions included."""
    names = set()
    for node in trees(*folders):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
    return frozenset(name for name in names if name.partition(".")[0] not in OWN | sys.stdlib_module_names)


def distributions(*folders: str) -> set[str]:
    """Return the distributions that contain the imported modules."""
    tops = {name.partition(".")[0] for name in imported(*folders)}
    found = {canonicalize_name(each) for top in tops for each in brought_by()[top]}
    return {PARTS.get(name, name) for name in found}


brought_by = cache(packages_distributions)


def test_imported_packages_are_declared():
    users = set(PROJECT["optional-dependencies"]) - {"dev"}
    assert distributions(*PACKAGES) - declared(*users).keys() == set()
    assert distributions("tests") - declared(*PROJECT["optional-dependencies"]).keys() == set()


def test_declared_packages_are_imported():
    optional = declared("modern", "ray", "system", "postgresql").keys()
    assert optional - distributions(*PACKAGES) == LOADED_BY_OTHERS
    assert declared("bench").keys() - distributions(*PACKAGES, "tests") == set()


def test_packages_whose_private_parts_are_used_have_an_upper_version_bound():
    used = {name for module in imported(*PACKAGES) for name in PRIVATE_MODULES if f"{module}.".startswith(f"{name}.")}
    assert used == PRIVATE_MODULES.keys()
    attributes = {
        node.attr
        for node in trees(*PACKAGES)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") not in ("self", "cls")
    }
    assert {name for name in attributes if name.startswith("_") and name[1] != "_"} == PRIVATE_NAMES.keys()
    for name in {*PRIVATE_MODULES.values(), *PRIVATE_NAMES.values()} - {""}:
        assert "<" in {each.operator for each in declared()[name].specifier}, name


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_has_a_py_typed_file(package):
    assert (ROOT / package / "py.typed").is_file()
