"""An optimizer that needs a closure gets one, which computes the same batch's gradients with the same draws again."""

import numpy as np
import pytest
import torch

from harness.config import OPTIMIZER_CONFIGS, RunConfig, with_settings
from harness.training.data import load_splits
from harness.training.loop import initial_state
from harness.training.optimizers import build_optimizer, needs_closure
from tests.own import shapes
from tests.training import train_epochs

HERE = "tests.own.shapes"
BARS = {
    "dataset.name": f"{HERE}:bars",
    "dataset.train_size": 186,  # the last batch is a smaller one
    "dataset.validation_size": 80,
    "dataset.test_size": 80,
    "batch_size": 16,
    "threads": 1,
    "epochs": 2,
}
STEPS = 7


def lbfgs(w, gradient, lr, iterations, memory):
    """Algorithm 7.5 of Nocedal and Wright 2006 without a line search, `iterations` of it in each step."""
    pairs, n, before, moved = [], 0, None, None
    for _ in range(STEPS):
        for _ in range(iterations):
            g = gradient(w)
            if before is not None and (g - before) @ moved > 1e-10:
                pairs = [*pairs, (moved, g - before)][-memory:]
            direction = -two_loops(g, pairs)
            rate = lr if n else lr * min(1, 1 / np.abs(g).sum())
            moved, before, n = rate * direction, g, n + 1
            w = w + moved
    return w


def two_loops(g, pairs):
    """Algorithm 7.4 of Nocedal and Wright 2006: the inverse Hessian's estimate times a gradient."""
    factors = []
    for s, y in reversed(pairs):
        factors.append(s @ g / (y @ s))
        g = g - factors[-1] * y
    if pairs:
        s, y = pairs[-1]
        g = g * (s @ y) / (y @ y)
    for s, y in pairs:
        g = g + s * (factors.pop() - y @ g / (y @ s))
    return g


@pytest.mark.parametrize("memory", [2, 20])
def test_lbfgs_steps_equal_the_authors_algorithm(memory):
    generator = np.random.default_rng(0)
    matrix, start = np.diag(generator.uniform(0.5, 5, size=20)), generator.normal(size=20)
    parameter = torch.nn.Parameter(torch.tensor(start))
    settings = {"lr": 0.2, "max_iter": 3, "max_eval": 20, "history_size": memory, "line_search_fn": None}
    optimizer = build_optimizer(OPTIMIZER_CONFIGS["lbfgs"](**settings), [parameter])

    def closure():
        optimizer.zero_grad()
        loss = parameter @ torch.tensor(matrix) @ parameter / 2
        loss.backward()
        return loss

    for _ in range(STEPS):
        optimizer.step(closure)
    expected = lbfgs(start, lambda w: matrix @ w, 0.2, 3, memory)
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize(("name", "kind"), OPTIMIZER_CONFIGS.items())
def test_only_lbfgs_and_sam_of_the_registry_need_a_closure(name, kind):
    parameters = [torch.nn.Parameter(torch.zeros(2, 2)) for _ in range(3)]
    assert needs_closure(build_optimizer(kind(), parameters)) == (name in ("lbfgs", "sam"))


@pytest.mark.parametrize(
    ("kind", "needs"),
    [
        (shapes.SignDescent, False),
        (shapes.SlowWeights, False),
        (shapes.Asking, True),
        (shapes.Sharp, True),
    ],
)
def test_an_own_optimizer_needs_a_closure_if_its_step_requires_one_or_makes_two_passes(kind, needs):
    assert needs_closure(kind([torch.nn.Parameter(torch.zeros(2))])) == needs


def trained(**settings):
    config = with_settings(RunConfig(), BARS | {key.replace("__", "."): each for key, each in settings.items()})
    data = load_splits(config.dataset, "cpu")
    return train_epochs(config, initial_state(config), data, 2, ["validation"])


# of which one draws from torch, one from numpy and Python, and two count images, the last with effect in training
@pytest.mark.parametrize("model", ["Dropped", "Drawn", "Normed", "Centred"])
def test_repeated_evaluations_in_a_step_use_the_same_random_draws_and_counts(model):
    plain, once, often = (
        trained(model__name=f"{HERE}:{model}", model__outputs="logits", optimizer__lr=0.1, **optimizer)
        for optimizer in (
            {"optimizer__name": "torch.optim:SGD"},
            {"optimizer__name": f"{HERE}:Asking", "optimizer__times": 1},
            {"optimizer__name": f"{HERE}:Asking", "optimizer__times": 3},  # which raises where a loss is another
        )
    )
    assert plain.losses == once.losses == often.losses
    assert all(torch.equal(weight, often.state.model[name]) for name, weight in plain.state.model.items())
    assert plain.state.rng.keys() == often.state.rng.keys()
    assert torch.equal(plain.state.rng["cpu"], often.state.rng["cpu"])


def test_an_optimizer_draws_a_different_random_number_in_every_step():
    model = {"model__name": f"{HERE}:Scores", "model__outputs": "logits"}
    ended = trained(**model, optimizer__name=f"{HERE}:AskingAndDrawing", optimizer__times=2)
    drawn = ended.state.optimizer["state"][0]["drawn"]
    assert len({number.item() for number in drawn}) == len(drawn) == 2 * 12


@pytest.mark.parametrize("name", ["lbfgs", "sam"])
def test_buffers_that_a_forward_replaces_are_restored_as_those_that_it_changes(name):
    replaced, changed = (
        trained(model__name=f"{HERE}:Centring", model__outputs="logits", model__in_place=each, optimizer__name=name)
        for each in (False, True)
    )
    assert replaced.losses == changed.losses
    assert replaced.state.model["passes"] == changed.state.model["passes"]


@pytest.mark.parametrize("in_place", [True, False])
def test_points_within_an_epoch_change_no_buffer_of_the_training(in_place):
    model = {"model__name": f"{HERE}:Centring", "model__outputs": "logits", "model__in_place": in_place}
    with_points, without = (trained(**model, trajectory__images=images) for images in (40, 0))
    assert with_points.losses == without.losses
    assert with_points.state.model["passes"] == without.state.model["passes"]


@pytest.mark.parametrize("name", ["lbfgs", "sam"])
def test_the_loss_of_a_step_is_computed_with_the_weights_before_the_step(name):
    first = {"model__name": f"{HERE}:Dropped", "model__outputs": "logits", "epochs": 1}
    expected = trained(**first, optimizer__name="sgd").losses[0]
    assert trained(**first, optimizer__name=name).losses[0] == expected


@pytest.mark.long
@pytest.mark.parametrize(
    "settings", [{"memory_format": "channels_last"}, {"gradient_clip_norm": 0.5}, {"precision": "bfloat16"}], ids=str
)
def test_lbfgs_takes_channels_last_weights_clipped_gradients_and_bfloat16(settings, small, config):
    fast = {"optimizer.name": "lbfgs", "optimizer.max_iter": 2, "epochs": 2, "batch_size": 32}
    config = with_settings(config, fast | settings)
    ended = train_epochs(config, initial_state(config), small, 2, ["validation"])
    assert ended.losses[-1] < 0.7 * ended.losses[0]
