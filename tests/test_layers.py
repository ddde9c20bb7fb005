"""Imports run one way, and each outside library has the one home that the design gives it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {"harness": 1, "studies": 2, "reports": 2, "experiments": 3}
MODULES = sorted(path for package in FLOORS for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_a_report_and_a_look_at_a_sweep_need_no_torch():
    modules = "reports.page, reports.comparison, reports.progress, experiments.terminal, studies.snapshot"
    check = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down_only(path):
    package = path.relative_to(ROOT).parts[0]
    tops = {name.split(".")[0] for name in imported(path)}
    above = {other for other in FLOORS if other != package and FLOORS[other] >= FLOORS[package]}
    assert not tops & above
    if path.relative_to(ROOT).as_posix() not in ("harness/tracking.py", "harness/models.py"):
        assert "mlflow" not in tops
    if package != "studies":
        assert "optuna" not in tops
    if package == "reports":
        assert not tops & {"torch", "torchvision"}
