"""A value of a user's own argument is of the type that its signature has, and is kept as it was said, or refused."""

import json
import re

import pytest

from harness.config import RunConfig, canonical_json, parse_config, with_settings
from harness.errors import BadInputError

HERE = "tests.own.signatures"


def with_argument(function: str, argument: str, value) -> RunConfig:
    return with_settings(RunConfig(), {"model.name": f"{HERE}:{function}", f"model.{argument}": value})


@pytest.mark.parametrize(
    ("function", "argument", "values"),
    [
        ("Annotated", "hidden", [True, False, 1, 0]),
        ("Annotated", "width", [16]),
        ("Annotated", "drop", [0.5, 1]),
        ("Annotated", "tag", ["False", "32"]),
        ("Annotated", "limit", [None, 0.5, 2]),
        ("Annotated", "either", [3, "3"]),
        ("Annotated", "rate", [0.5, 1]),
        ("Annotated", "sizes", [[3, 4, 5], []]),
        ("Annotated", "mode", ["sum"]),
        ("Annotated", "sloppy", [None, 3]),
        ("bare", "hidden", [False]),
        ("bare", "width", [16, 0.5]),
        ("bare", "drop", [0.5, 1]),
        ("bare", "tag", ["32"]),
        ("bare", "sizes", [[3, 4, 5]]),
        ("bare", "anything", [None, True, 3, 0.5, "text", [1, "a"]]),
        ("for_checkers", "hidden", [False]),
        ("for_checkers", "function", [None, "relu"]),
    ],
)
def test_a_value_of_the_annotated_type_is_kept_unchanged(function, argument, values):
    for value in values:
        config = with_argument(function, argument, value)
        found = json.loads(canonical_json(config))["model"][argument]
        assert (found, type(found)) == (value, type(value))
        assert parse_config(json.loads(canonical_json(config))) == config


@pytest.mark.parametrize(
    ("function", "argument", "values", "expected"),
    [
        ("Annotated", "hidden", ["False", "no", None, 2, 0.5, []], "bool"),
        ("Annotated", "width", ["16", 16.5, 16.0, True, None], "int"),
        ("Annotated", "drop", ["0.5", True, None, [0.5]], "float"),
        ("Annotated", "tag", [32, True, None], "str"),
        ("Annotated", "limit", ["None", "0.5", True], "float | None"),
        ("Annotated", "either", [0.5, None], "int | str"),
        ("Annotated", "rate", ["0.5", None], "float"),
        ("Annotated", "sizes", [3, [0.5], "12"], "tuple[int, ...]"),
        ("Annotated", "mode", ["max"], "Literal['mean', 'sum']"),
        ("bare", "hidden", ["False", None, 2], "bool"),
        ("bare", "width", ["16", True, None], "float"),
        ("bare", "drop", ["0.5", False], "float"),
        ("bare", "tag", [32, None], "str"),
        ("bare", "sizes", [["1"], 3], "list[float]"),
        ("for_checkers", "hidden", ["False", None], "bool"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(function, argument, values, expected):
    for value in values:
        with pytest.raises(BadInputError) as caught:
            with_argument(function, argument, value)
        assert str(caught.value).startswith(f"argument {argument!r} of '{HERE}:{function}' {value!r}: expected ")
        assert f": expected {expected}" in str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(BadInputError, match=re.escape(str(caught.value))):
            parse_config({"model": {"name": f"{HERE}:{function}", argument: value}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.lr", True),
        ("optimizer.betas.0", False),
        ("optimizer.betas", (True, 0.9)),
        ("batch_size", True),
        ("dataset.train_size", True),
    ],
)
def test_a_boolean_is_refused_for_a_number(key, value):
    with pytest.raises(BadInputError, match=rf"^{key}\S* '(True|False)': expected a valid"):
        with_settings(RunConfig(), {"optimizer.name": "adam", key: value})


def test_a_sequence_reaches_the_users_code_as_the_list_or_tuple_that_its_signature_has():
    assert with_settings(RunConfig(), {"model.name": f"{HERE}:sequences"}).model.arguments == {
        "hidden": [16],
        "pairs": ((1, 2), (3, 4)),
        "mixed": ([1], (2,)),
        "said": None,
        "several": None,
        "nothing": None,
    }
    given = {"hidden": (8, 4), "pairs": [[5, 6]], "mixed": [[7], [8], [9]], "said": [1], "nothing": [1, [2]]}
    config = with_settings(
        RunConfig(), {"model.name": f"{HERE}:sequences"} | {f"model.{key}": each for key, each in given.items()}
    )
    first = config.model.arguments
    assert first == {
        "hidden": [8, 4],
        "pairs": ((5, 6),),
        "mixed": ([7], (8,), (9,)),
        "said": [1],
        "several": None,
        "nothing": (1, [2]),
    }
    first["hidden"].append(2)  # as a class may do
    assert config.model.arguments["hidden"] == [8, 4]
