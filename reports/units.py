"""Write metric values as text: with their unit, and with enough digits to tell different values apart."""

import math
from collections.abc import Sequence

from harness.records import METRIC_NAMES

MOST_MORE = 14  # extra digits, after which different floats always have different texts


def texts(name: str, values: Sequence[object]) -> list[str]:
    """Return a text for each value of the metric or config key `name`; an empty text for None or nan.

    Accuracies are in percent with two decimals, losses in nats, durations in seconds. If different values would have
    the same text, all get more digits.
    """
    different = len({each for each in values if not _is_nothing(each)})
    shown: list[str] = []
    for more in range(MOST_MORE):
        shown = [_text(name, each, more) for each in values]
        if len(set(shown) - {""}) >= different:
            break
    return shown


def _text(name: str, value: object, more: int) -> str:
    if _is_nothing(value):
        return ""
    if not isinstance(value, float):
        return str(value)
    if name.endswith("accuracy"):
        return f"{value:.{2 + more}%}"
    if name.endswith("loss"):
        return f"{value:.{4 + more}g} nats"
    if name.startswith("seconds/") or name.endswith("/seconds"):
        return f"{value:.{3 + more}g} s"
    if name == METRIC_NAMES["images_per_second"]:
        return f"{value:,.{more}f} images/s"
    return f"{value:.{6 + more}g}"


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
