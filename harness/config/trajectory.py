"""Define what a run records within its epochs: windows of training steps, and points of validation."""

from typing import Annotated

from pydantic import Field

from harness.config.base import FrozenModel

Position = Annotated[float, Field(gt=0, le=10_000)]


class TrajectoryConfig(FrozenModel):
    """Configure what a run records within its epochs. These settings change no other number of the run.

    The training loss and accuracy are recorded as means over `windows` equal parts of each epoch. The model is
    evaluated on `images` images of the validation set, with the classes in proportion, after each number of epochs in
    `points` (0.125: an eighth of the first epoch) and after every multiple of `every` epochs. With `images` = 0, it
    is never evaluated within an epoch.
    """

    windows: Annotated[int, Field(ge=0, le=1000)] = 16
    points: tuple[Position, ...] = (1 / 32, 1 / 16, 3 / 16)
    every: Annotated[float, Field(ge=0.001, le=1)] = 0.125
    images: Annotated[int, Field(ge=0)] = 1600
