"""Steps, images and epochs are said in each other without an image too many, and a run is measured where it says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import (
    DatasetConfig,
    RunConfig,
    TrajectoryConfig,
    images_at,
    measured_steps,
    step_after,
    step_at,
    steps_per_epoch,
    window_ends,
    with_settings,
)


def sized(images: int, batch_size: int, **trajectory) -> RunConfig:
    dataset = DatasetConfig(train_size=images, validation_size=100)
    return RunConfig(dataset=dataset, batch_size=batch_size, trajectory=TrajectoryConfig(**trajectory))


@st.composite
def sizes(draw):
    images = draw(st.integers(10, 50_000))
    return sized(images, draw(st.integers(1, images)))


@settings(deadline=None)
@given(sizes(), st.integers(0, 10**6))
def test_images_and_steps_convert_both_ways_and_an_epoch_has_all_images(config, step):
    assert step_after(config, images_at(config, step)) == step
    assert 0 < images_at(config, step + 1) - images_at(config, step) <= config.batch_size
    steps = steps_per_epoch(config)
    assert images_at(config, step + steps) - images_at(config, step) == config.dataset.train_size


@settings(deadline=None)
@given(sizes(), st.integers(0, 50), st.data())
def test_a_fraction_of_an_epoch_is_rounded_down_to_whole_batches_but_at_least_one(config, epochs, data):
    steps = steps_per_epoch(config)
    step = data.draw(st.integers(0, steps - 1))
    assert step_at(config, epochs + step / steps) == epochs * steps + step
    assert step_at(config, epochs + (step + 0.5) / steps) == epochs * steps + max(step, 1)


@settings(deadline=None)
@given(
    sizes(),
    st.sampled_from([0.125, 0.1, 0.3, 1 / 3, 0.7, 1, 0.0375]) | st.floats(0.02, 1),
    st.lists(st.floats(0.001, 4), max_size=4),
)
def test_a_run_is_measured_at_all_multiples_of_the_interval_and_points_only(config, every, points):
    config = config.model_copy(update={"trajectory": TrajectoryConfig(every=every, points=tuple(points))})
    steps, epochs = steps_per_epoch(config), 4
    positions = {*points, *(every * each for each in range(1, int(epochs / every) + 2))}
    expected = {step_at(config, each) for each in positions} - {steps * epoch for epoch in range(epochs + 1)}
    found = [(epoch - 1) * steps + step for epoch in range(1, epochs + 1) for step in measured_steps(config, epoch)]
    assert found == sorted(each for each in expected if each < epochs * steps)


def test_by_default_a_run_is_measured_every_eighth_of_an_epoch_and_earlier_in_the_first():
    config = sized(50_000, 64)  # of 782 steps
    assert measured_steps(config, 1) == (24, 48, 97, 146, 195, 293, 391, 488, 586, 684)
    assert measured_steps(config, 2) == measured_steps(config, 9) == (97, 195, 293, 391, 488, 586, 684)


@pytest.mark.parametrize("without", [{"trajectory.images": 0}, {"dataset.validation_size": 0}])
def test_a_run_without_images_to_measure_has_no_measured_steps(without):
    assert measured_steps(with_settings(sized(50_000, 64), without), 1) == ()


@settings(deadline=None)
@given(sizes(), st.integers(1, 1000))
def test_windows_divide_an_epoch_into_parts_that_are_equal_within_one_step(config, windows):
    config = config.model_copy(update={"trajectory": TrajectoryConfig(windows=windows)})
    steps, ends = steps_per_epoch(config), window_ends(config)
    assert (len(ends), ends[-1]) == (min(windows, steps), steps)
    lengths = {end - begin for begin, end in zip((0, *ends), ends, strict=False)}
    assert max(lengths) - min(lengths) <= 1
