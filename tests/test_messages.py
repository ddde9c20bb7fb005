"""What the packages below the command line say names none of its flags and commands, and says "expected" alike."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for package in ("harness", "studies", "reports") for path in (ROOT / package).rglob("*.py"))
COMMANDS = "run|sweep|list|explain|status|leaderboard|compare|export|report|predict|reproduce|register|doctor|ui"
# what a page shows: a recipe, the check of a row, a style
PAGE = {"--set", "harness reproduce ", ", harness reproduce ", "var(--grid)"}
FORBIDDEN = re.compile(rf"--\w|\bharness ({COMMANDS})\b|\b(is|are) allowed\b|\ballowed( here)?:")


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield all texts but docstrings, since constants and functions can hold parts of messages."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    documentations = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in documentations:
            yield node.value


def wrong_in(source: str) -> list[str]:
    return sorted({text for text in texts(ast.parse(source)) if FORBIDDEN.search(text)} - PAGE)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_message_below_the_command_line_names_a_flag_or_command_of_it(path):
    assert wrong_in(path.read_text(encoding="utf-8")) == []


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
def test_forbidden_words_in_a_message_are_found(source):
    assert wrong_in(source)
