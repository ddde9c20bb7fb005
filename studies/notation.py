"""Read and write a dimension of a space as a user types it: `log(1e-5, 1e-1)`, `uniform(0, 0.5)`, `[32, 64]`."""

import ast
from typing import Any

from harness.config import validated
from harness.errors import BadInputError
from studies.space import Choice, Dimension, Range

SCALES = {"log": True, "uniform": False}
WRITTEN = "a range or a choice, such as log(1e-5, 1e-1), uniform(0, 0.5, start=0.1), 1 - log(0.02, 0.5) or [32, 64]"


def parse_dimension(text: str) -> Dimension:
    """Return the range or choice that the text describes.

    `log(low, high)` and `uniform(low, high)` are ranges; `start=`, `integer=`, `points=` and `from_trials=` set the
    fields of `Range`. `1 - log(low, high)` searches 1 - value. A list, or `choice(a, b, start=a)`, is a choice.

    Raises:
        BadInputError: the text has none of these forms, or its values are invalid.
    """
    try:
        return _dimension(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError):
        raise BadInputError("search", text, expected=WRITTEN, next_step="correct the text") from None


def written(dimension: Dimension) -> str:
    """Return the dimension as text that `parse_dimension` reads back."""
    if isinstance(dimension, Choice):
        arguments = [*map(repr, dimension.choices), *_keywords(dimension, "start", "from_trials")]
        return f"choice({', '.join(arguments)})"
    fields = ("start", "integer", "points", "from_trials")
    arguments = [repr(dimension.low), repr(dimension.high), *_keywords(dimension, *fields)]
    return f"{'1 - ' * dimension.complement}{'log' if dimension.log else 'uniform'}({', '.join(arguments)})"


def _keywords(dimension: Dimension, *fields: str) -> list[str]:
    """Return the fields that differ from their defaults, as keyword arguments."""
    defaults = type(dimension).model_fields
    values = {field: getattr(dimension, field) for field in fields}
    return [f"{field}={value!r}" for field, value in values.items() if value != defaults[field].default]


def _dimension(node: ast.expr) -> Dimension:
    if isinstance(node, ast.List):
        return validated(Choice, {"choices": [_value(each) for each in node.elts]})
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and ast.unparse(node.left) == "1":
        return _called(node.right, {"complement": True})
    return _called(node, {})


def _called(node: ast.expr, more: dict[str, Any]) -> Dimension:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError
    values = [_value(each) for each in node.args]
    fields = {str(each.arg): _value(each.value) for each in node.keywords} | more
    if node.func.id == "choice" and not more:
        return validated(Choice, {"choices": values, **fields})
    low, high = values
    return validated(Range, {"low": low, "high": high, "log": SCALES[node.func.id], **fields})


def _value(node: ast.expr) -> Any:  # noqa: ANN401
    """Return the value of a literal, or a bare name such as relu as text."""
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
