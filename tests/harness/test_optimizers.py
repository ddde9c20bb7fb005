"""torch's updates are the chapter's equations, written out here in NumPy float64."""

import numpy as np
import pytest
import torch

from harness.config import OPTIMIZER_CONFIGS
from harness.training.optimizers import build_optimizer

STEPS = 7


def sgd(w, gradients, lr):
    for g in gradients:
        w = w - lr * g
    return w


def adagrad(w, gradients, lr, eps=1e-10):
    squares = np.zeros_like(w)
    for g in gradients:
        squares = squares + g**2
        w = w - lr * g / (np.sqrt(squares) + eps)
    return w


def adadelta(w, gradients, lr, rho=0.9, eps=1e-6):
    mean_square_gradient, mean_square_step = np.zeros_like(w), np.zeros_like(w)
    for g in gradients:
        mean_square_gradient = rho * mean_square_gradient + (1 - rho) * g**2
        step = np.sqrt(mean_square_step + eps) / np.sqrt(mean_square_gradient + eps) * g
        mean_square_step = rho * mean_square_step + (1 - rho) * step**2
        w = w - lr * step
    return w


def rmsprop(w, gradients, lr, alpha=0.99, eps=1e-8):
    mean_square = np.zeros_like(w)
    for g in gradients:
        mean_square = alpha * mean_square + (1 - alpha) * g**2
        w = w - lr * g / (np.sqrt(mean_square) + eps)
    return w


def adam(w, gradients, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    first, second = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * g
        second = beta2 * second + (1 - beta2) * g**2
        w = w - lr * (first / (1 - beta1**t)) / (np.sqrt(second / (1 - beta2**t)) + eps)
    return w


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("equation", [sgd, adagrad, adadelta, rmsprop, adam], ids=lambda each: each.__name__)
def test_several_steps_equal_the_chapters_equation(equation, fused):
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=20), generator.normal(size=(STEPS, 20))
    parameter = torch.nn.Parameter(torch.tensor(start))
    optimizer = build_optimizer(OPTIMIZER_CONFIGS[equation.__name__](lr=0.05), [parameter], fused)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    expected = equation(start, gradients, 0.05)
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("name", "momentum", "nesterov"), [("momentum", 0.9, False), ("nesterov", 0.9, True)])
def test_momentum_optimizers_are_torchs_sgd_with_its_switches(name, momentum, nesterov):
    group = build_optimizer(OPTIMIZER_CONFIGS[name](), [torch.nn.Parameter(torch.zeros(1))]).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (momentum, nesterov)


@pytest.mark.parametrize("name", OPTIMIZER_CONFIGS)
def test_a_fused_kernel_is_used_where_torch_has_one_and_it_is_asked_for(name):
    def is_fused(asked):
        parameters = [torch.nn.Parameter(torch.zeros(1))]
        return bool(build_optimizer(OPTIMIZER_CONFIGS[name](), parameters, asked).param_groups[0].get("fused"))

    assert not is_fused(False)
    assert is_fused(True) == (name in ("sgd", "momentum", "nesterov", "adagrad", "adam", "adamw"))
