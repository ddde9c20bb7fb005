"""Describe what a sweep asks of its executor: the number of workers, and the resources of a slice."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from harness.config import FrozenModel

Share = Annotated[float, Field(ge=0, le=1024)]


class Resources(FrozenModel):
    """The resources that a slice takes from this machine or from a node of the cluster.

    With a GPU share below 1, several slices train on one GPU side by side.
    """

    cpus: Share = 1.0
    gpus: Share = 0.0


@dataclass(frozen=True)
class Asked:
    """The request to an executor. `workers`: slices in flight, None for the default. `ray_address`: for Ray only."""

    workers: int | None = None
    resources: Resources | None = None
    ray_address: str | None = None
