"""The extra's optimizers step as their authors' papers and reference implementations say, written out in NumPy."""

import inspect
import sys

import numpy as np
import pytest
import torch

from harness.config import OPTIMIZER_CONFIGS, RunConfig, with_settings
from harness.config.modern import ModernOptimizerConfig
from harness.errors import BadInputError
from harness.run import begin_run
from harness.training.optimizers import build_optimizer, class_of
from tests.memory_tracker import MemoryTracker

STEPS = 7
MODERN = [name for name, kind in OPTIMIZER_CONFIGS.items() if issubclass(kind, ModernOptimizerConfig)]


def lion(w, gradients, lr, beta1=0.9, beta2=0.99, decay=0.1):
    """Algorithm 2 of Chen et al. 2023."""
    momentum = np.zeros_like(w)
    for g in gradients:
        update = np.sign(beta1 * momentum + (1 - beta1) * g)
        w = w - lr * (update + decay * w)
        momentum = beta2 * momentum + (1 - beta2) * g
    return w


def prodigy(w, gradients, lr, beta1=0.9, beta2=0.999, d0=1e-6, eps=1e-8, decay=0.1):
    """Algorithm 4 of Mishchenko and Defazio 2024; its weights of gradients, as the authors' code, are over d0."""
    start, d, r = w, d0, 0.0
    s, first, second = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for g in gradients:
        r = np.sqrt(beta2) * r + d / d0 * d * lr * g @ (start - w)
        s = np.sqrt(beta2) * s + d / d0 * d * lr * g
        first = beta1 * first + d * (1 - beta1) * g
        second = beta2 * second + d**2 * (1 - beta2) * g**2
        after = max(d, r / np.abs(s).sum())
        w = w - lr * d * (decay * w + first / (np.sqrt(second) + after * eps) * 1)
        d = after
    return w


def schedule_free_adamw(w, gradients, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.1):
    """Algorithm 1 of Defazio et al. 2024; x, the average, is what is evaluated. `gradients` are of y."""
    x = y = z = w
    second, weights = np.zeros_like(w), 0.0
    for t, g in enumerate(gradients, 1):
        second = beta2 * second + (1 - beta2) * g**2
        z = z - lr * (g / (np.sqrt(second / (1 - beta2**t)) + eps) + decay * y)
        weights += lr**2
        x = x + lr**2 / weights * (z - x)
        y = (1 - beta1) * z + beta1 * x
    return x


def soap(w, gradients, lr, beta1=0.95, beta2=0.95, eps=1e-8, decay=0.1, every=2):
    """Algorithms 3 and 4 of Vyas et al. 2025; the first gradient, as in the authors' code, is for the basis alone."""
    first, second = np.zeros_like(w), np.zeros_like(w)
    left, right = (1 - beta2) * gradients[0] @ gradients[0].T, (1 - beta2) * gradients[0].T @ gradients[0]
    of_left, of_right = np.linalg.eigh(left)[1][:, ::-1], np.linalg.eigh(right)[1][:, ::-1]
    for t, g in enumerate(gradients[1:], 1):
        first = beta1 * first + (1 - beta1) * g
        second = beta2 * second + (1 - beta2) * (of_left.T @ g @ of_right) ** 2
        update = of_left @ (of_left.T @ first @ of_right / (np.sqrt(second) + eps)) @ of_right.T
        w = w - lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * update
        w = w - lr * decay * w
        left = beta2 * left + (1 - beta2) * g @ g.T
        right = beta2 * right + (1 - beta2) * g.T @ g
        if t % every == 0:
            of_left, order = refreshed(left, of_left)
            second = second[order]
            of_right, order = refreshed(right, of_right)
            second = second[:, order]
    return w


def refreshed(matrix, basis):
    """A step of power iteration and a QR decomposition, with the eigenvectors in order of their eigenvalues."""
    order = np.argsort(-np.sum(basis * (matrix @ basis), axis=0))
    return np.linalg.qr((matrix @ basis)[:, order])[0], order


def sam(w, gradient, lr, momentum=0.9, rho=0.05, decay=0.1):
    """Algorithm 1 of Foret et al. 2021 with p = 2, around SGD with momentum; `gradient` is a function of weights."""
    velocity = np.zeros_like(w)
    for t in range(STEPS):
        g = gradient(w)
        there = gradient(w + rho * g / np.linalg.norm(g)) + decay * w
        velocity = there if t == 0 else momentum * velocity + there
        w = w - lr * velocity
    return w


@pytest.mark.parametrize(
    ("equation", "shape", "settings", "tolerance"),
    [
        (lion, (20,), {"lr": 0.05}, 1e-12),
        (prodigy, (20,), {"lr": 1.0}, 1e-5),  # which has its estimate of the distance in float32
        (prodigy, (20,), {"lr": 0.5, "d0": 1e-2}, 1e-5),
        (schedule_free_adamw, (20,), {"lr": 0.05}, 1e-9),
        (soap, (4, 3), {"lr": 0.05, "precondition_frequency": 2}, 1e-5),  # whose decompositions are in float32
    ],
)
def test_several_steps_equal_the_authors_equation(equation, shape, settings, tolerance):
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=shape), generator.normal(size=(STEPS, *shape))
    gradients += 0.5  # so that the estimate of a distance grows
    parameter = torch.nn.Parameter(torch.tensor(start))
    config = OPTIMIZER_CONFIGS[equation.__name__](**settings, weight_decay=0.1)
    optimizer = build_optimizer(config, [parameter])
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    if equation is schedule_free_adamw:
        optimizer.eval()
    told = {"every" if key == "precondition_frequency" else key: each for key, each in settings.items()}
    np.testing.assert_allclose(parameter.detach().numpy(), equation(start, gradients, **told), rtol=tolerance)


def test_sam_steps_equal_the_authors_equation():
    generator = np.random.default_rng(0)
    matrix, start = np.diag(generator.uniform(0.5, 5, size=20)), generator.normal(size=20)
    parameter = torch.nn.Parameter(torch.tensor(start))
    optimizer = build_optimizer(OPTIMIZER_CONFIGS["sam"](lr=0.05, weight_decay=0.1), [parameter])

    def closure():
        optimizer.zero_grad()
        loss = parameter @ torch.tensor(matrix) @ parameter / 2
        loss.backward()
        return loss

    for _ in range(STEPS):
        closure()
        optimizer.step(closure)
    expected = sam(start, lambda w: matrix @ w, 0.05)
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-6)  # whose norm is float32's


OF_THE_CHAPTERS_NETWORK = {"max_precondition_dim": 1024}  # SOAP's, which is 10,000 there


@pytest.mark.parametrize("name", MODERN)
def test_hyperparameters_and_defaults_are_those_of_the_package(name):
    config = OPTIMIZER_CONFIGS[name]()
    signature = dict(inspect.signature(class_of(config)).parameters)
    if name == "sam":
        signature = dict(inspect.signature(torch.optim.SGD).parameters) | signature
    theirs = {key: signature[key].default for key in config.model_dump(exclude={"name"})}
    if name == "sam":
        theirs["momentum"] = 0.9
    if name == "soap":
        theirs |= OF_THE_CHAPTERS_NETWORK
    assert config.model_dump(exclude={"name"}) == theirs


@pytest.mark.parametrize("name", MODERN)
def test_an_optimizer_of_a_missing_extra_is_refused_with_the_install_command(name, monkeypatch, small, config):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    tracker = MemoryTracker()
    with pytest.raises(BadInputError) as caught:
        begin_run(with_settings(config, {"optimizer.name": name}), tracker, "modern")
    assert str(caught.value) == (
        f"optimizer.name {name!r} needs the package pytorch-optimizer, which is not installed: expected an optimizer "
        "of torch; choose one, or run pip install 'optimizer-harness[modern]'"
    )
    assert not tracker.runs


def test_a_config_of_an_extra_optimizer_is_read_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    config = with_settings(RunConfig(), {"optimizer.name": "prodigy", "optimizer.d_coef": 0.5})
    assert config.optimizer.d_coef == 0.5
