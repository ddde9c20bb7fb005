"""An epoch under way: its batches in their order, what each step of it gave, and how long they took."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from harness.training.images import Split
from harness.training.order import draw_order_seed, epoch_order
from harness.training.state import EpochBegun


@dataclass
class Epoch:
    """The epoch's batches, and what its first `step` steps gave; on the device of the data.

    `losses` (steps of the epoch,) are of each step, `correct` (steps of the epoch,) the images that it got right.
    """

    order_seed: int
    batches: tuple[Tensor, ...]
    losses: Tensor
    correct: Tensor
    step: int = 0
    train_seconds: float = 0.0
    evaluate_seconds: float = 0.0

    @classmethod
    def begin(cls, data: Split, batch_size: int, order_seed: int | None = None) -> Self:
        """Return an epoch over the data; without `order_seed` it is drawn from the global generator."""
        seed = draw_order_seed() if order_seed is None else order_seed
        device = data.labels.device
        batches = epoch_order(len(data), seed).to(device).split(batch_size)
        # filled in place: a small tensor kept of every step would keep the allocator from joining what it frees
        losses = torch.zeros(len(batches), device=device)
        return cls(seed, batches, losses, torch.zeros(len(batches), dtype=torch.int64, device=device))

    @classmethod
    def go_on(cls, data: Split, batch_size: int, begun: EpochBegun) -> Self:
        """Return the epoch that a state has begun."""
        epoch = cls.begin(data, batch_size, begun.order_seed)
        epoch.step = len(begun.losses)
        epoch.losses[: epoch.step] = begun.losses
        epoch.correct[: epoch.step] = begun.correct
        epoch.train_seconds, epoch.evaluate_seconds = begun.train_seconds, begun.evaluate_seconds
        return epoch

    @property
    def begun(self) -> EpochBegun | None:
        """What is trained of it, as a state holds it; None before its first step."""
        if self.step == 0:
            return None
        return EpochBegun(self.order_seed, *self.trained, self.train_seconds, self.evaluate_seconds)

    @property
    def trained(self) -> tuple[Tensor, Tensor]:
        """The losses and the images right of the steps until now, copied to the CPU."""
        losses, correct = (each[: self.step].to("cpu", copy=True) for each in (self.losses, self.correct))
        return losses, correct

    @property
    def diverged_at(self) -> int | None:
        """The first step, from 0, of which the loss is not finite; None where all are."""
        not_finite = (~self.losses[: self.step].isfinite()).nonzero()
        return int(not_finite[0]) if len(not_finite) else None

    @property
    def sizes(self) -> Tensor:
        """How many images each step has (steps of the epoch,), on the CPU."""
        return torch.tensor([len(batch) for batch in self.batches])
