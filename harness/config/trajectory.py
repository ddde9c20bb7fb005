"""What a run records within its epochs, and when: windows of training steps and points of validation."""

from typing import Annotated

from pydantic import Field

from harness.config.base import FrozenModel

Position = Annotated[float, Field(gt=0, le=10_000)]


class TrajectoryConfig(FrozenModel):
    """What a run records within its epochs. It decides no other number of the run.

    The training loss and accuracy are means over `windows` equal parts of an epoch. The model is measured on the
    first `images` of the validation set, the classes in proportion, after so many epochs as `points` says (0.125: an
    eighth of the first one) and after each multiple of `every` epochs. `images` = 0: never.
    """

    windows: Annotated[int, Field(ge=0, le=1000)] = 16
    points: tuple[Position, ...] = (1 / 32, 1 / 16, 3 / 16)
    every: Annotated[float, Field(ge=0.001, le=1)] = 0.125
    images: Annotated[int, Field(ge=0)] = 1600
