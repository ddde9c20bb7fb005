"""A typed dimension is parsed, and a written dimension is parsed as the same one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInputError
from studies.notation import parse_dimension, written
from studies.space import Choice, Range


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("log(1e-5, 1e-1)", Range(low=1e-5, high=1e-1, log=True)),
        ("uniform(0, 0.5, start=0.1)", Range(low=0, high=0.5, start=0.1)),
        (" log(8,512,integer=True) ", Range(low=8, high=512, log=True, integer=True)),
        ("1 - log(0.02, 0.5, start=0.9)", Range(low=0.02, high=0.5, log=True, complement=True, start=0.9)),
        ("[32, 64]", Choice(choices=(32, 64))),
        ("[relu, 'tanh']", Choice(choices=("relu", "tanh"))),
        ("choice(32, 64, start=32)", Choice(choices=(32, 64), start=32)),
        ("uniform(-1, 1, from_trials=10)", Range(low=-1, high=1, from_trials=10)),
    ],
)
def test_a_text_is_parsed_as_a_range_or_a_choice(text, dimension):
    assert parse_dimension(text) == dimension


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log",
        "log(1)",
        "log(1, 2, 3)",
        "lin(0, 1)",
        "2 - log(0.1, 0.5)",
        "1 - [1]",
        "32",
        "log(1e-5 1e-1)",
        "(" * 300,
    ],
)
def test_any_other_text_is_refused_with_the_expected_forms(text):
    with pytest.raises(BadInputError, match=r"such as log\(1e-5, 1e-1\)"):
        parse_dimension(text)


@pytest.mark.parametrize(
    "text", ["log(0, 1)", "uniform(2, 1)", "uniform(0, 1, start=2)", "[]", "uniform(0, 1, step=1)"]
)
def test_invalid_values_are_refused_in_one_line(text):
    with pytest.raises(BadInputError) as caught:
        parse_dimension(text)
    assert "\n" not in str(caught.value)


NUMBERS = st.floats(1e-6, 1.0)
RANGES = st.builds(
    lambda ends, log, start, trials: Range(
        low=ends[0], high=ends[1], log=log, start=ends[0] if start else None, from_trials=trials
    ),
    st.lists(NUMBERS, min_size=2, max_size=2, unique=True).map(sorted),
    st.booleans(),
    st.booleans(),
    st.integers(1, 30),
)
CHOICES = st.builds(
    lambda values: Choice(choices=tuple(values), start=values[0]),
    st.lists(st.one_of(st.integers(), NUMBERS, st.text(), st.booleans()), min_size=1, max_size=4),
)


@given(st.one_of(RANGES, CHOICES))
def test_a_written_dimension_is_parsed_as_the_same_dimension(dimension):
    assert parse_dimension(written(dimension)) == dimension
