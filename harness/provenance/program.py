"""Read the source of the classes and functions that the running program, or a notebook's cells, define."""

import ast
import hashlib
import linecache
import sys
from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

from harness.errors import BadInputError

MAIN = "__main__"
PLAIN = (bool, int, float, str, bytes, type(None), tuple, list, dict, set, frozenset)


def program_source(names: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """Return hashes of these names, `__main__:name`, and of each name of the program that they use.

    Each class or function has the SHA-256 of its text, each plain value the SHA-256 of its `repr`. The modules that
    define the other classes and functions are returned too. Other objects that the program uses are not followed.

    Raises:
        BadInputError: the source of a class or function can't be read.
    """
    defined = vars(sys.modules[MAIN])
    found: dict[str, str] = {}
    modules: set[str] = set()
    waiting = [name.partition(":")[2].partition(".")[0] for name in names]
    while waiting:
        name = waiting.pop()
        key, value = f"{MAIN}:{name}", defined.get(name)
        if key in found or name not in defined:
            continue
        if isinstance(value, PLAIN):
            found[key] = _hash(repr(value))
        elif isinstance(value, ModuleType):
            modules.add(value.__name__)
        elif isinstance(value, type | FunctionType) and value.__module__ != MAIN:
            modules.add(value.__module__)
        elif isinstance(value, type | FunctionType):
            text = _text(value)
            found[key] = _hash(text)
            waiting += [node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)]
    return found, modules


def _text(defined: Any) -> str:  # noqa: ANN401
    """Return the source of a class or function. Before Python 3.13, `inspect` can't find classes of a notebook."""
    functions = [defined] if isinstance(defined, FunctionType) else vars(defined).values()
    codes = [each.__code__ for each in functions if isinstance(each, FunctionType)]
    for filename in dict.fromkeys(code.co_filename for code in codes):
        text = "".join(linecache.getlines(filename))
        kinds = (ast.ClassDef, ast.FunctionDef)
        for node in reversed(ast.parse(text).body):
            if isinstance(node, kinds) and node.name == defined.__name__:
                return ast.unparse(node)
    raise BadInputError(
        "source",
        f"{MAIN}:{defined.__name__}",
        "can't be read",
        expected="a class with a method, or a function, that the program or a notebook's cell defines",
        next_step="move it to its own file and import it from there",
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
