"""Which gradients a GPU may replay: those that no code of a user's and no draw on the CPU has a part in."""

import pytest

from harness.config import RunConfig, with_settings
from harness.training.gradients import is_captured


@pytest.mark.parametrize(
    "settings",
    [
        {"device": "cpu"},
        {"model.name": "tests.own.shapes:Scores"},
        {"optimizer.name": "tests.own.shapes:SignDescent"},
        {"augmentation.rotation": 10.0},
    ],
)
def test_what_could_differ_from_step_to_step_is_computed_at_every_step(settings):
    on_a_gpu = with_settings(RunConfig(), {"device": "cuda"})
    assert is_captured(on_a_gpu)
    assert not is_captured(with_settings(on_a_gpu, settings))
