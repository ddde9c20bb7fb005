"""A value is shown with its unit, and with enough digits to differ from the value beside it."""

import pytest

from reports.units import texts


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("test/accuracy", 0.9847, "98.47%"),
        ("trajectory/validation_accuracy", 1.0, "100.00%"),
        ("validation/loss", 0.0512345, "0.05123 nats"),
        ("seconds/train", 12.345, "12.3 s"),
        ("trajectory/seconds", 0.5, "0.5 s"),
        ("images_per_second", 5031.4, "5,031 images/s"),
        ("config.optimizer.lr", "0.001", "0.001"),
        ("epochs", 2, "2"),
        ("a/metric", 0.123456789, "0.123457"),
    ],
)
def test_each_kind_of_value_has_its_unit(name, value, text):
    assert texts(name, [value]) == [text]


def test_missing_values_have_an_empty_text():
    assert texts("test/accuracy", [None, float("nan"), 0.5]) == ["", "", "50.00%"]


def test_different_values_have_different_texts():
    assert texts("test/accuracy", [0.98471, 0.98473]) == ["98.471%", "98.473%"]
    one, other = texts("train/loss", [0.1, 0.1 + 2**-54])
    assert one != other
    assert texts("train/loss", [0.1, 0.1]) == ["0.1 nats"] * 2
