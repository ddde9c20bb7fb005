"""Signatures of a user's own: annotated, as a type checker alone understands them, and not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Optional

from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable


class Annotated(nn.Module):
    """Without its hidden layer where that is false."""

    def __init__(
        self,
        hidden: bool = True,
        width: int = 8,
        drop: float = 0.1,
        tag: str = "a",
        limit: Optional[float] = None,  # noqa: UP045
        either: int | str = 1,
        rate: float | Tensor = 0.1,
        sizes: tuple[int, ...] = (1, 2),
        mode: Literal["mean", "sum"] = "mean",
        sloppy: int = None,  # noqa: RUF013
    ):
        super().__init__()
        self.layers = nn.LazyLinear(width) if hidden else nn.Identity()
        self.last = nn.LazyLinear(10)
        self.forward(nn.init.zeros_(Tensor(1, 1, 28, 28)))

    def forward(self, images):
        return F.log_softmax(self.last(F.relu(self.layers(images.flatten(1)))), dim=1)


def bare(hidden=True, width=8, drop=0.1, tag="a", sizes=(1, 2), anything=None):
    return Annotated(hidden)


def for_checkers(hidden: bool = True, function: Callable | None = None):
    return Annotated(hidden)


def sequences(
    hidden=[16],  # noqa: B006
    pairs=((1, 2), (3, 4)),
    mixed=([1], (2,)),  # noqa: B006
    said: list[int] | None = None,
    several: list[list[int]] | tuple[int, ...] = None,  # noqa: RUF013
    nothing=None,
):
    return hidden, pairs, mixed, said, several, nothing
