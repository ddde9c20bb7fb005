"""Training is a function of (config, state): slices compose, evaluation leaves no trace, divergence is an outcome."""

import math
from dataclasses import replace

import pytest
import torch

from harness.config import RunConfig, with_settings
from harness.training.evaluation import evaluate
from harness.training.images import normalize
from harness.training.loop import build, build_model, initial_state
from tests.metrics import in_slices
from tests.training import train_epochs


@pytest.mark.long
@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adagrad", "adam", "adamw"])
def test_a_run_with_a_fused_optimizer_gives_the_same_results_in_slices(
    name, memory_format, few, config_of_few: RunConfig
):
    settings = {"optimizer.name": name, "epochs": 2, "fused": True, "memory_format": memory_format}
    config = with_settings(config_of_few, settings)
    assert build(config)[1].param_groups[0]["fused"]
    whole = train_epochs(config, initial_state(config), few, 2, [])
    assert in_slices(config, few, 2, [])[0].hash() == whole.state.hash()


@pytest.mark.long
@pytest.mark.parametrize("splits", [[], ["test"], ["validation", "test", "validation"]])
@pytest.mark.parametrize("batch_size", [7, 500])
def test_evaluation_of_any_splits_at_any_batch_size_does_not_change_training(
    few, config_of_few: RunConfig, splits, batch_size
):
    plain = train_epochs(config_of_few, initial_state(config_of_few), few, 2, [])
    config = with_settings(config_of_few, {"evaluation_batch_size": batch_size})
    evaluated = train_epochs(config, initial_state(config), few, 2, splits)
    assert replace(evaluated.state, config=plain.state.config).hash() == plain.state.hash()
    assert [each.train_loss for each in evaluated.metrics] == [each.train_loss for each in plain.metrics]


def test_evaluating_any_split_leaves_generator_and_model_as_they_were(small, config: RunConfig):
    model = build_model(config, initial_state(config))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    generator = torch.get_rng_state()
    for split in (small.train, small.validation, small.test):
        evaluate(model, split, config)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_the_caller_keeps_its_generator_and_threads(small, config: RunConfig):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train_epochs(config, initial_state(config), small, 1, [])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_gives_another_run(config: RunConfig):
    other = with_settings(config, {"seed": 1})
    assert initial_state(config).model["conv1.weight"].ne(initial_state(other).model["conv1.weight"]).any()


def test_a_loss_that_is_not_finite_ends_the_run_with_its_step(small, config: RunConfig):
    config = with_settings(config, {"optimizer.name": "sgd", "optimizer.lr": 1e6, "optimizer.weight_decay": 1.0})
    ended = train_epochs(config, initial_state(config), small, 3, ["validation"])
    assert ended.divergence is not None
    assert ended.divergence.epoch == 1
    assert ended.divergence.split == "train"
    assert 0 < ended.divergence.step < 20
    assert ended.metrics == ()
    assert ended.state.epoch == 0


def test_evaluation_weighs_every_image_once_at_any_batch_size(small, config: RunConfig):
    model = build_model(config, initial_state(config))
    results = [
        evaluate(model, small.validation, with_settings(config, {"evaluation_batch_size": size})) for size in (7, 160)
    ]
    assert results[0][1] == results[1][1]
    assert math.isclose(results[0][0], results[1][0], rel_tol=1e-6)
    images, labels = small.validation.images[:], small.validation.labels
    with torch.no_grad():
        right = (model(normalize(images, config.dataset)).argmax(1) == labels).sum().item()
    assert results[0][1] == right / 160
