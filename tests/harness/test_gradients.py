"""Which gradients a GPU may replay: those that no code of a user's and no draw on the CPU has a part in."""

import pytest
import torch

from harness.config import RunConfig, with_settings
from harness.training.gradients import is_captured
from harness.training.optimizers import build_optimizer


@pytest.mark.parametrize(
    "settings",
    [
        {"device": "cpu"},
        {"model.name": "tests.own.shapes:Scores"},
        {"optimizer.name": "tests.own.shapes:SignDescent"},
        {"augmentation.rotation": 10.0},
        {"optimizer.name": "lbfgs"},
        {"optimizer.name": "sam"},
    ],
)
def test_gradients_that_could_differ_from_step_to_step_are_not_replayed(settings):
    on_a_gpu = with_settings(RunConfig(), {"device": "cuda"})
    assert captured(on_a_gpu)
    assert not captured(with_settings(on_a_gpu, settings))


def captured(config):
    return is_captured(config, build_optimizer(config.optimizer, [torch.nn.Parameter(torch.zeros(1))]))
