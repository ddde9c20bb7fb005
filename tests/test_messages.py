"""What the packages below the command line say names none of its flags and commands, and says "expected" alike."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for package in ("harness", "studies", "reports") for path in (ROOT / package).rglob("*.py"))
UNCONVERTED = {  # to be converted once what others change in them is merged
    "harness/export.py",
    "harness/tracking/connection.py",
    "harness/tracking/mlflow.py",
    "harness/tracking/read.py",
    "reports/comparing.py",
    "reports/page.py",
    "reports/queries.py",
}
ERRORS = {"RefusedError", "BadInputError", "DamagedFileError", "BusyError", "StoreAwayError", "WorkFailedError"}
COMMANDS = "run|sweep|list|status|leaderboard|compare|export|report|predict|reproduce|register|doctor|ui"
FORBIDDEN = re.compile(rf"--\w|\bharness ({COMMANDS})\b|\b(is|are) allowed\b|\ballowed( here)?:")


def says(node: ast.AST) -> bool:
    """Whether it is an error, what is logged, or what a person is to do about a folder."""
    if isinstance(node, ast.Raise):
        return True
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    return called in {*ERRORS, "unknown", "writable_folder"} or called.startswith("logger.")


def texts(tree: ast.AST) -> Iterator[str]:
    for node in filter(says, ast.walk(tree)):
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def all_texts(tree: ast.AST) -> Iterator[str]:
    """Those of functions that return a part of a message, too; without docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    documentations = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in documentations:
            yield node.value


def wrong_in(texts: Iterator[str]) -> list[str]:
    return sorted({text for text in texts if FORBIDDEN.search(text)})


@pytest.mark.parametrize("name", sorted({path.relative_to(ROOT).as_posix() for path in MODULES} - UNCONVERTED))
def test_no_message_below_the_command_line_names_a_flag_or_command_of_it(name):
    path = ROOT / name
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # a page shows a person the commands of this project
    assert wrong_in(texts(tree) if path.is_relative_to(ROOT / "reports") else all_texts(tree)) == []


@pytest.mark.parametrize(
    "source",
    [
        "raise BadInputError('x', expected='another; leave out --data-dir')",
        "raise ValueError(f'low {low}: 1 to {high} is allowed')",
        "refusal = BadInputError('run', run_id, next_step='say `harness sweep x`')",
        "raise unknown('setting', key, keys, '`harness run --help` lists them')",
        "logger.warning('go on with --resume %s', run_id)",
    ],
)
def test_what_such_a_message_must_not_say_is_found(source):
    assert wrong_in(texts(ast.parse(source)))
