"""A training step: the gradients of a batch, then the optimizer's step, which may ask for gradients again."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn, optim

from harness.config import RunConfig
from harness.training.generators import generator_states, restore_generators
from harness.training.gradients import Gradients, gradients_of
from harness.training.images import Split
from harness.training.optimizers import needs_closure

Step = Callable[[Tensor], tuple[Tensor, Tensor]]


def step_of(model: nn.Module, optimizer: optim.Optimizer, data: Split, config: RunConfig) -> Step:
    """Return what takes the indices (n,) of a batch in `data` and trains the model on it once.

    It returns the mean loss () and how many images the model got right (), both of the weights before the step and
    on the device of the data, where they are valid until its next call.
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
    """Return a step whose optimizer gets a closure: it computes the batch's gradients again, where the weights are.

    To all evaluations of a step the loss is one function of the weights, as a line search and differences of
    gradients need it: each begins with the generators and the model's buffers as the first one found them, so that it
    draws the same dropout, and leaves them as it found them itself. So a step draws, and counts in a batch norm, what
    one evaluation does, however often its optimizer asks.
    """
    buffers = tuple(model.buffers())
    # torch's L-BFGS asks first for what is already computed: the loss and the gradients where the weights are
    asks_where_it_is = type(optimizer) is optim.LBFGS

    def kept() -> tuple[dict[str, Any], list[Tensor]]:
        return generator_states(config.device, config.seed), [buffer.clone() for buffer in buffers]

    def put_back(generators: dict[str, Any], values: list[Tensor]) -> None:
        restore_generators(generators, config.device, config.seed)
        with torch.no_grad():
            for buffer, value in zip(buffers, values, strict=True):
                buffer.copy_(value)

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
    """Return what leaves gradients that can be viewed as vectors, as torch's L-BFGS takes them, if channels-last."""

    def compute(batch: Tensor) -> tuple[Tensor, Tensor]:
        computed = gradients(batch)
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad = parameter.grad.contiguous()
        return computed

    return compute
