"""Training is a function of (config, state): slices compose, evaluation leaves no trace, divergence is an outcome."""

import math

import pytest
import torch

from harness.config import OPTIMIZER_CONFIGS, RunConfig, with_settings
from harness.state import RunState
from harness.training import advance, evaluate, initial_state


def numbers(metrics):
    return [each.model_dump(exclude={"train_seconds", "evaluate_seconds", "images_per_second"}) for each in metrics]


@pytest.mark.parametrize("name", OPTIMIZER_CONFIGS)
def test_two_single_epoch_slices_through_bytes_equal_one_of_two(name, small, config: RunConfig):
    config = with_settings(config, {"optimizer.name": name})
    whole = advance(config, initial_state(config), small, 2, ["validation"])
    first = advance(config, initial_state(config), small, 1, ["validation"])
    second = advance(config, RunState.from_bytes(first.state.to_bytes()), small, 1, ["validation"])
    assert second.state.hash() == whole.state.hash()
    assert numbers(first.metrics + second.metrics) == numbers(whole.metrics)


def test_what_is_evaluated_does_not_change_training(small, config: RunConfig):
    hashes = {
        advance(with_settings(config, {}), initial_state(config), small, 2, splits).state.hash()
        for splits in ([], ["test"], ["validation", "test"])
    }
    assert len(hashes) == 1


def test_the_caller_keeps_its_generator_and_threads(small, config: RunConfig):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    advance(config, initial_state(config), small, 1, [])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_gives_another_run(config: RunConfig):
    other = with_settings(config, {"seed": 1})
    assert initial_state(config).model["conv1.weight"].ne(initial_state(other).model["conv1.weight"]).any()


def test_a_loss_that_is_not_finite_ends_the_run_with_its_step(small, config: RunConfig):
    config = with_settings(config, {"optimizer.name": "sgd", "optimizer.lr": 1e6, "optimizer.weight_decay": 1.0})
    ended = advance(config, initial_state(config), small, 3, ["validation"])
    assert ended.divergence is not None
    assert ended.divergence.epoch == 1
    assert ended.divergence.split == "train"
    assert 0 < ended.divergence.step < 20
    assert ended.metrics == ()
    assert ended.state.epoch == 0


def test_evaluation_weighs_every_image_once_at_any_batch_size(small, config: RunConfig):
    from harness.training import build_model

    model = build_model(config, initial_state(config))
    results = [
        evaluate(model, small.validation, with_settings(config, {"evaluation_batch_size": size})) for size in (7, 320)
    ]
    assert results[0][1] == results[1][1]
    assert math.isclose(results[0][0], results[1][0], rel_tol=1e-6)
    images, labels = small.validation.images, small.validation.labels
    from harness.data import normalize

    with torch.no_grad():
        right = (model(normalize(images)).argmax(1) == labels).sum().item()
    assert results[0][1] == right / 320
