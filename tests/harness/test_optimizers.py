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


def asgd(w, gradients, lr, lambd=1e-4, alpha=0.75):
    rate = lr
    for t, g in enumerate(gradients, 1):
        w = (1 - lambd * rate) * w - rate * g
        rate = lr / (1 + lambd * lr * t) ** alpha
    return w


def rprop(w, gradients, lr, shrink=0.5, grow=1.2, least=1e-6, most=50):
    before, step = np.zeros_like(w), np.full_like(w, lr)
    for g in gradients:
        factor = np.where(g * before > 0, grow, np.where(g * before < 0, shrink, 1))
        step = np.clip(step * factor, least, most)
        before = np.where(factor == shrink, 0, g)
        w = w - np.sign(before) * step
    return w


def adafactor(w, gradients, lr, decay=-0.8, least_size=1e-3, clip=1.0):
    """Algorithm 5 of Shazeer and Stern, of a vector, whose second moment is not factored."""
    mean_square = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        mean_square = (1 - t**decay) * mean_square + t**decay * g**2
        update = g / np.sqrt(np.maximum(mean_square, np.finfo(float).eps ** 2))
        update = update / max(1, np.sqrt(np.mean(update**2)) / clip)
        w = w - max(least_size, np.sqrt(np.mean(w**2))) * min(lr, 1 / np.sqrt(t)) * update
    return w


def test_adafactor_keeps_the_second_moment_of_a_matrix_by_rows_and_columns():
    generator = np.random.default_rng(0)
    start, g = generator.normal(size=(4, 3)), generator.normal(size=(4, 3))
    parameter = torch.nn.Parameter(torch.tensor(start))
    optimizer = build_optimizer(OPTIMIZER_CONFIGS["adafactor"](lr=0.05), [parameter])
    parameter.grad = torch.tensor(g)
    optimizer.step()
    rows, columns = (g**2).mean(axis=1, keepdims=True), (g**2).mean(axis=0, keepdims=True)
    update = g / np.sqrt(rows @ columns / rows.mean())
    update = update / max(1, np.sqrt(np.mean(update**2)))
    expected = start - np.sqrt(np.mean(start**2)) * 0.05 * update
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(("equation", "tolerance"), [(asgd, 1e-6), (rprop, 1e-12), (adafactor, 1e-6)])
def test_several_steps_equal_the_authors_equation(equation, tolerance):
    assert_equal_after_several_steps(
        equation, tolerance, fused=False
    )  # torch has the rates of two of them in float32


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("equation", [sgd, adagrad, adadelta, rmsprop, adam], ids=lambda each: each.__name__)
def test_several_steps_equal_the_chapters_equation(equation, fused):
    assert_equal_after_several_steps(equation, 1e-12, fused)


def assert_equal_after_several_steps(equation, tolerance, fused):
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=20), generator.normal(size=(STEPS, 20))
    parameter = torch.nn.Parameter(torch.tensor(start))
    optimizer = build_optimizer(OPTIMIZER_CONFIGS[equation.__name__](lr=0.05), [parameter], fused)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    expected = equation(start, gradients, 0.05)
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=tolerance, atol=1e-14)


@pytest.mark.parametrize(("name", "momentum", "nesterov"), [("momentum", 0.9, False), ("nesterov", 0.9, True)])
def test_momentum_and_nesterov_set_the_arguments_of_torchs_sgd(name, momentum, nesterov):
    group = build_optimizer(OPTIMIZER_CONFIGS[name](), [torch.nn.Parameter(torch.zeros(1))]).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (momentum, nesterov)


@pytest.mark.parametrize("name", OPTIMIZER_CONFIGS)
def test_a_fused_kernel_is_used_if_requested_and_torch_has_one(name):
    def is_fused(asked):
        parameters = [torch.nn.Parameter(torch.zeros(2, 2)) for _ in range(3)]
        return bool(build_optimizer(OPTIMIZER_CONFIGS[name](), parameters, asked).param_groups[0].get("fused"))

    assert not is_fused(False)
    assert is_fused(True) == (name in ("sgd", "momentum", "nesterov", "adagrad", "adam", "adamw"))
