"""Check parts of a sweep's definition: that lists hold nothing twice, and that trials can be judged."""

from collections.abc import Sequence
from typing import Any

from harness.config import RunConfig
from harness.errors import BadInputError

JUDGED = "1 or more, since validation selects the winners"


def require_different(field: str, values: Sequence[Any]) -> None:
    """Refuse what would be trained twice, and compared with itself as if it were two.

    Raises:
        BadInputError: two of the values are equal.
    """
    twice = next((each for number, each in enumerate(values) if each in values[:number]), None)
    if twice is not None:
        raise BadInputError(
            field,
            list(values),
            f"contains {twice!r} twice",
            expected="different values",
            next_step="remove one of the two",
        )


def require_judged(config: RunConfig, rungs: Sequence[float]) -> None:
    """Check that there are validation images to judge a trial on at each of its rungs (in epochs) and at its end.

    Raises:
        BadInputError: there are none.
    """
    if config.dataset.validation_size == 0:
        raise BadInputError("dataset.validation_size", 0, expected=JUDGED)
    if any(rung % 1 for rung in rungs) and not config.trajectory.images:
        raise BadInputError(
            "trajectory.images",
            0,
            "leaves no images to measure a trial on at rungs within an epoch",
            expected="1 or more, or rungs at whole epochs",
        )
