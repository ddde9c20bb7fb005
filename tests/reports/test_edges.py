"""A winner at the edge of what was searched is flagged with the side to widen."""

import pytest

from reports.edges import edges


def dimension(low, high, log=False, complement=False, kind="range"):
    return {"kind": kind, "low": low, "high": high, "log": log, "complement": complement}


RATE = dimension(1e-4, 1.0, log=True)
DECAY = dimension(5e-3, 0.3, log=True, complement=True)


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
        (0.02, dimension(0.0, 0.5), None),  # a dropout of 0 is an end by nature
        (0.46, dimension(0.0, 0.5), "lr 0.46, widen above"),
    ],
)
def test_the_outer_tenth_is_on_the_searched_scale(value, where, expected):
    assert edges({"lr": str(value)}, {"lr": where}) == ([expected] if expected else [])


def test_a_choice_has_no_edge():
    assert edges({"batch_size": "32"}, {"batch_size": {"kind": "choice", "choices": [32, 64]}}) == []
