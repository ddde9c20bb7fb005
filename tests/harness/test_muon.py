"""Muon is torch's of hidden matrices and torch's AdamW of the rest, and steps as its authors say."""

import numpy as np
import pytest
import torch
from torch import nn

from harness.config import MuonConfig, RunConfig, with_settings
from harness.errors import BadInputError
from harness.training.networks import new_model
from harness.training.optimizers import build_optimizer
from harness.training.schedules import build_scheduler

STEPS = 7
CONFIG = MuonConfig(lr=0.02, weight_decay=0.1, adamw_lr=0.01, adamw_betas=(0.8, 0.9), adamw_weight_decay=0.2)


def orthogonalized(matrix, steps=5, a=3.4445, b=-4.7750, c=2.0315):
    """Newton and Schulz's iteration with the coefficients of Jordan et al. 2024."""
    x = matrix / np.linalg.norm(matrix)
    x = x.T if len(matrix) > len(matrix.T) else x
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if len(matrix) > len(matrix.T) else x


def muon(w, gradients, lr, momentum=0.95, decay=0.1):
    """Jordan et al. 2024, of a matrix, with Nesterov's momentum and decoupled weight decay."""
    average = np.zeros_like(w)
    for g in gradients:
        average = momentum * average + (1 - momentum) * g
        update = orthogonalized(momentum * average + (1 - momentum) * g)
        w = w - lr * decay * w - lr * np.sqrt(max(1, len(w) / len(w.T))) * update
    return w


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(24, 8), nn.Linear(8, 3))


def gradients_for(model, seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(each.shape, generator=generator) for name, each in model.named_parameters()}


def stepped(model, optimizers):
    for seed in range(STEPS):
        gradients = gradients_for(model, seed)
        for name, parameter in model.named_parameters():
            parameter.grad = gradients[name].clone()
        for optimizer in optimizers:
            optimizer.step()
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("shape", [(8, 24), (24, 8)])
def test_several_steps_equal_the_authors_equation(shape):
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=shape), generator.normal(size=(STEPS, *shape))
    ends = [nn.Parameter(torch.zeros(2, 2)) for _ in range(2)]
    hidden = nn.Parameter(torch.tensor(start))
    optimizer = build_optimizer(CONFIG, [ends[0], hidden, ends[1]])
    for gradient in gradients:
        hidden.grad = torch.tensor(gradient)
        optimizer.step()
    moved = muon(start, gradients, 0.02) - start
    # torch iterates in bfloat16, which has 8 bits
    np.testing.assert_allclose(hidden.detach().numpy() - start, moved, atol=0.02 * np.abs(moved).max())


def test_muon_steps_hidden_matrices_as_torchs_muon_and_other_weights_as_torchs_adamw():
    ours = stepped(model := network(), [build_optimizer(CONFIG, model.parameters())])
    model = network()
    flat = nn.Parameter(model[1].weight.detach().flatten(1).clone())
    hidden = [flat, model[3].weight]
    others = [model[0].weight, model[0].bias, model[1].bias, model[3].bias, model[4].weight, model[4].bias]
    theirs = [
        torch.optim.Muon(hidden, lr=0.02, weight_decay=0.1),
        torch.optim.AdamW(others, lr=0.01, betas=(0.8, 0.9), weight_decay=0.2),
    ]
    for seed in range(STEPS):
        gradients = gradients_for(model, seed)
        for name, parameter in model.named_parameters():
            parameter.grad = gradients[name].clone()
        flat.grad = gradients["1.weight"].flatten(1)
        for optimizer in theirs:
            optimizer.step()
    expected = dict(model.named_parameters()) | {"1.weight": flat.view(6, 4, 3, 3)}
    assert ours.keys() == expected.keys()
    assert [name for name in ours if not torch.equal(ours[name], expected[name])] == []


def test_muon_steps_the_second_convolution_and_first_linear_layer_of_the_chapters_network():
    model = new_model(RunConfig())
    optimizer = build_optimizer(CONFIG, model.parameters())
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    hidden, others = ([names[id(each)] for each in group["params"]] for group in optimizer.param_groups)
    assert hidden == ["conv2.weight", "linear1.weight"]
    assert sorted(hidden + others) == sorted(names.values())


def test_channels_last_weights_take_the_same_steps_as_contiguous_weights():
    expected = stepped(model := network(), [build_optimizer(CONFIG, model.parameters())])
    model = network().to(memory_format=torch.channels_last)
    found = stepped(model, [build_optimizer(CONFIG, model.parameters())])
    start = network().state_dict()
    for name, weight in found.items():
        moved = expected[name] - start[name]
        # whose columns are summed in another order, in bfloat16
        assert torch.allclose(weight - start[name], moved, atol=float(0.02 * moved.abs().max()))


def test_a_weight_without_a_gradient_stays():
    model = network()
    optimizer = build_optimizer(CONFIG, model.parameters())
    model[3].weight.grad, model[4].bias.grad = torch.ones(8, 24), torch.ones(3)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    optimizer.step()
    changed = {name for name, each in model.named_parameters() if not torch.equal(each, before[name])}
    assert changed == {"3.weight", "4.bias"}


def test_a_schedule_changes_both_rates_in_proportion(config: RunConfig):
    config = with_settings(
        config,
        {"optimizer": CONFIG.model_dump(), "schedule.name": "step", "schedule.gamma": 0.1, "schedule.step_size": 1},
    )
    optimizer = build_optimizer(config.optimizer, network().parameters())
    scheduler = build_scheduler(config, optimizer)
    for _ in range(20):
        optimizer.step()
        scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.002, 0.001])


def test_a_model_without_a_hidden_matrix_is_refused_in_one_line():
    with pytest.raises(BadInputError, match=r"optimizer.name 'muon' finds no hidden matrix in this model.*adamw"):
        build_optimizer(CONFIG, nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).parameters())
