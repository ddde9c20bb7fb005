"""What is documented of fields and arguments, read from the source: under a field, or in a function's Args."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from itertools import pairwise
from typing import Any


def fields_of(kind: type) -> dict[str, str]:
    """Return the text under each field of a class, on one line."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: on_one_line(below.value.value)
        for field, below in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
    }


def arguments_of(function: Callable[..., Any]) -> dict[str, str]:
    """Return the text of each argument in the Args section of a function, on one line."""
    arguments = inspect.getdoc(function).partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.split(r"^    (?=\w)", arguments, flags=re.MULTILINE)[1:]
    return {name: on_one_line(text) for name, _, text in (each.partition(":") for each in entries)}


def rows_of(document: str) -> dict[str, str]:
    """The rows of a document's tables that name something, as code or in bold, and what they say of it."""
    return dict(re.findall(r"^\| (?:`|\*\*)(.+?)(?:`|\*\*) \| (.+) \|$", document, re.MULTILINE))


def on_one_line(text: str) -> str:
    return " ".join(text.split())
