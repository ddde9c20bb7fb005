"""Combine Muon for hidden matrices and AdamW for all other weights into one optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim._muon import muon
from torch.optim.adamw import adamw

from harness.errors import BadInputError

Group = dict[str, Any]


class MuonAndAdamW(optim.Optimizer):
    """Train a model's hidden matrices with torch's Muon, and the rest with torch's AdamW (Jordan et al. 2024).

    The hidden matrices are all weights of two dimensions or more, except the first and the last one, which belong to
    the model's input and output. A convolution's weight becomes a matrix (outputs, inputs · height · width).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], of_muon: Group, of_adamw: Group) -> None:
        """Take the arguments of Muon and of AdamW, by torch's names.

        Raises:
            BadInputError: the model has no hidden matrix.
        """
        weights = list(parameters)
        hidden = [weight for weight in weights if weight.dim() >= 2][1:-1]
        if not hidden:
            raise BadInputError(
                "optimizer.name",
                "muon",
                "finds no hidden matrix in this model",
                expected="a matrix between those of the input and the output, which AdamW trains",
                next_step="choose adamw, or another model",
            )
        theirs = {id(weight) for weight in hidden}
        others = [weight for weight in weights if id(weight) not in theirs]
        super().__init__([{"params": hidden, **of_muon}, {"params": others, **of_adamw}], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update the weights from their gradients. If `closure` is given, call it first and return its loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._step_hidden(self.param_groups[0])
        self._step_others(self.param_groups[1])
        return loss

    def _step_hidden(self, group: Group) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        muon(
            [_matrix(weight) for weight in weights],
            [_in_order_of_memory(weight.grad, weight).reshape(len(weight), -1) for weight in weights],
            [_matrix(self.state[weight]["momentum_buffer"]) for weight in weights],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            nesterov=group["nesterov"],
            ns_coefficients=group["ns_coefficients"],
            ns_steps=group["ns_steps"],
            eps=group["eps"],
            adjust_lr_fn=group["adjust_lr_fn"],
            has_complex=False,
        )

    def _step_others(self, group: Group) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight] |= {
                    "step": torch.tensor(0.0),
                    "exp_avg": torch.zeros_like(weight),
                    "exp_avg_sq": torch.zeros_like(weight),
                }
        states = [self.state[weight] for weight in weights]
        beta1, beta2 = group["betas"]
        adamw(
            weights,
            [weight.grad for weight in weights],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            amsgrad=False,
            maximize=False,
        )


def _matrix(weight: Tensor) -> Tensor:
    """Return a weight as a matrix (outputs, the rest) that shares its memory.

    The columns of a weight in channels-last format have another order, which does not matter to Muon's update.
    """
    return _in_order_of_memory(weight, weight).view(len(weight), -1)


def _in_order_of_memory(tensor: Tensor, weight: Tensor) -> Tensor:
    is_channels_last = weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    return tensor.permute(0, 2, 3, 1) if is_channels_last else tensor
