"""Make a training step: the gradients of a batch, then the optimizer's step, which may compute gradients again."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn, optim

from harness.config import RunConfig
from harness.training.buffers import Buffers, kept_buffers, restore_buffers
from harness.training.generators import generator_states, restore_generators
from harness.training.gradients import Gradients, gradients_of
from harness.training.images import Split
from harness.training.optimizers import needs_closure

Step = Callable[[Tensor], tuple[Tensor, Tensor]]


def step_of(model: nn.Module, optimizer: optim.Optimizer, data: Split, config: RunConfig) -> Step:
    """Return a function that trains the model for one step on a batch, given its indices (n,) in `data`.

    The function returns the mean loss () and the number of correct images () of the weights before the step, on the
    device of the data. These tensors are valid until its next call.
    """
    gradients = gradients_of(model, optimizer, data, config)
    if isinstance(optimizer, optim.LBFGS):
        gradients = _contiguous(gradients, model)
    if needs_closure(optimizer):
        return _step_with_closure(model, optimizer, gradients, config)

    def step(batch: Tensor) -> tuple[Tensor, Tensor]:
        computed = gradients(batch)
        optimizer.step()
        return computed

    return step


def _step_with_closure(model: nn.Module, optimizer: optim.Optimizer, gradients: Gradients, config: RunConfig) -> Step:
    """Return a step whose optimizer gets a closure that computes the batch's gradients again at the present weights.

    Within a step the loss is one function of the weights, which line searches and differences of gradients need:
    every evaluation starts with the generators and the model's buffers as they were before the step, so that it draws
    the same dropout. The closure restores both afterwards. So a step draws random numbers and updates batch norms as
    one evaluation does, no matter how often its optimizer calls the closure.
    """
    # torch's L-BFGS first asks for the loss and gradients at the present weights, which are already computed
    asks_where_it_is = type(optimizer) is optim.LBFGS

    def kept() -> tuple[dict[str, Any], Buffers]:
        return generator_states(config.device, config.seed), kept_buffers(model)

    def put_back(generators: dict[str, Any], buffers: Buffers) -> None:
        restore_generators(generators, config.device, config.seed)
        restore_buffers(buffers)

    def step(batch: Tensor) -> tuple[Tensor, Tensor]:
        before = kept()
        computed = gradients(batch)
        answers = [computed[0]] if asks_where_it_is else []

        @torch.enable_grad()
        def closure() -> Tensor:
            if answers:
                return answers.pop()
            now = kept()
            put_back(*before)
            loss, _ = gradients(batch)
            put_back(*now)
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]
        return computed

    return step


def _contiguous(gradients: Gradients, model: nn.Module) -> Gradients:
    """Return a function that also makes the gradients contiguous: torch's L-BFGS views them as vectors.

    Gradients in channels-last format are not contiguous.
    """

    def compute(batch: Tensor) -> tuple[Tensor, Tensor]:
        computed = gradients(batch)
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad = parameter.grad.contiguous()
        return computed

    return compute
