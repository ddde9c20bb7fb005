"""What is asked of an executor: how many slices at a time, and what a slice needs of a node."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from harness.config import FrozenModel

Share = Annotated[float, Field(ge=0, le=1024)]


class Resources(FrozenModel):
    """What a slice needs of this machine or of a cluster's node.

    A share of a GPU lets several slices train on it side by side.
    """

    cpus: Share = 1.0
    gpus: Share = 0.0


@dataclass(frozen=True)
class Asked:
    """What a person asks of the executor of a sweep. `ray_address` is of Ray alone."""

    workers: int | None = None
    resources: Resources | None = None
    ray_address: str | None = None
