"""A winner at the edge of its range is flagged with the side on which to widen it."""

import pytest

from reports.edges import edges
from studies.space import Choice, Range

RATE = Range(low=1e-4, high=1.0, log=True)
DECAY = Range(low=5e-3, high=0.3, log=True, complement=True)


@pytest.mark.parametrize(
    ("value", "where", "expected"),
    [
        (2.4e-4, RATE, "lr 0.00024, widen below"),
        (2.6e-4, RATE, None),
        (0.38, RATE, None),
        (0.42, RATE, "lr 0.42, widen above"),
        (0.994, DECAY, "lr 0.994, widen above"),
        (0.71, DECAY, "lr 0.71, widen below"),
        (0.9, DECAY, None),
        (0.02, Range(low=0, high=0.5), None),  # a dropout of 0 is an end by nature
        (0.46, Range(low=0, high=0.5), "lr 0.46, widen above"),
        (0.98, Range(low=0, high=0.5, complement=True), None),  # and so is one of 1 - 0
        (0.52, Range(low=0, high=0.5, complement=True), "lr 0.52, widen below"),
    ],
)
def test_the_outer_tenth_is_on_the_searched_scale(value, where, expected):
    assert [str(edge) for edge in edges({"lr": value}, {"lr": where})] == ([expected] if expected else [])


def test_a_choice_has_no_edge():
    assert edges({"batch_size": 32}, {"batch_size": Choice(choices=(32, 64))}) == ()
