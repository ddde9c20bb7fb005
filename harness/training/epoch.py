"""Hold an epoch in progress: its batches in order, the results of its steps, and their duration."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from harness.training.images import Split
from harness.training.order import draw_order_seed, epoch_order
from harness.training.state import EpochBegun


@dataclass
class Epoch:
    """Hold the epoch's batches, and the results of its first `step` steps, on the device of the data.

    `losses` (steps of the epoch,) has the mean loss of each step, and `correct` (steps of the epoch,) the number of
    images that the model got right.
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
        """Return a new epoch over the data; without `order_seed`, draw one from the global generator."""
        seed = draw_order_seed() if order_seed is None else order_seed
        device = data.labels.device
        batches = epoch_order(len(data), seed).to(device).split(batch_size)
        # filled in place: one small tensor per step would fragment the allocator's memory
        losses = torch.zeros(len(batches), device=device)
        return cls(seed, batches, losses, torch.zeros(len(batches), dtype=torch.int64, device=device))

    @classmethod
    def go_on(cls, data: Split, batch_size: int, begun: EpochBegun) -> Self:
        """Return the epoch that was begun in a state, to resume it."""
        epoch = cls.begin(data, batch_size, begun.order_seed)
        epoch.step = len(begun.losses)
        epoch.losses[: epoch.step] = begun.losses
        epoch.correct[: epoch.step] = begun.correct
        epoch.train_seconds, epoch.evaluate_seconds = begun.train_seconds, begun.evaluate_seconds
        return epoch

    @property
    def begun(self) -> EpochBegun | None:
        """Return the epoch's trained part, as a state holds it; None before its first step."""
        if self.step == 0:
            return None
        return EpochBegun(self.order_seed, *self.trained, self.train_seconds, self.evaluate_seconds)

    @property
    def trained(self) -> tuple[Tensor, Tensor]:
        """Return the losses and the numbers of correct images of the trained steps, copied to the CPU."""
        losses, correct = (each[: self.step].to("cpu", copy=True) for each in (self.losses, self.correct))
        return losses, correct

    @property
    def diverged_at(self) -> int | None:
        """Return the first step, from 0, whose loss is not finite; None if all are finite."""
        not_finite = (~self.losses[: self.step].isfinite()).nonzero()
        return int(not_finite[0]) if len(not_finite) else None

    @property
    def sizes(self) -> Tensor:
        """Return the number of images of each step (steps of the epoch,), on the CPU."""
        return torch.tensor([len(batch) for batch in self.batches])
