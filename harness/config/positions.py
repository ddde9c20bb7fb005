"""Convert a run's position between steps, images and epochs, and list the steps at which the run is measured."""

import math

from harness.config.run import RunConfig

NEARLY = 1e-9  # the rounding error of a fraction of an epoch as a float


def steps_per_epoch(config: RunConfig) -> int:
    """Return the number of batches of an epoch, including a smaller last batch."""
    return math.ceil(config.dataset.train_size / config.batch_size)


def images_at(config: RunConfig, step: int) -> int:
    """Return the number of images that a run has trained on after `step` steps."""
    epochs, rest = divmod(step, steps_per_epoch(config))
    return epochs * config.dataset.train_size + min(rest * config.batch_size, config.dataset.train_size)


def step_after(config: RunConfig, images: int) -> int:
    """Return the number of steps after which a run has trained on `images` images: the inverse of `images_at`."""
    epochs, rest = divmod(images, config.dataset.train_size)
    return epochs * steps_per_epoch(config) + math.ceil(rest / config.batch_size)


def step_at(config: RunConfig, epochs: float) -> int:
    """Return the number of steps of `epochs` epochs; a fraction is rounded down, but is one step at least."""
    whole = math.floor(epochs + NEARLY)
    part = (epochs - whole) * steps_per_epoch(config)
    begun = max(1, math.floor(part + NEARLY * part)) if part > NEARLY * steps_per_epoch(config) else 0
    return whole * steps_per_epoch(config) + begun


def measured_steps(config: RunConfig, epoch: int) -> tuple[int, ...]:
    """Return the steps within an epoch after which the model is evaluated on a part of the validation set.

    Steps and `epoch` count from 1. The epoch's last step is left out, because the model is then evaluated on the
    whole validation set.
    """
    trajectory, steps = config.trajectory, steps_per_epoch(config)
    if trajectory.images == 0 or config.dataset.validation_size == 0:
        return ()
    multiples = math.ceil(epoch / trajectory.every)
    first = math.floor((epoch - 1) / trajectory.every)
    positions = {*trajectory.points, *(trajectory.every * each for each in range(first, multiples + 1))}
    within = {step_at(config, each) - (epoch - 1) * steps for each in positions}
    return tuple(sorted(each for each in within if 0 < each < steps))


def window_ends(config: RunConfig) -> tuple[int, ...]:
    """Return the steps within an epoch, from 1, at which a window ends; the last one is the epoch's last step."""
    steps, windows = steps_per_epoch(config), config.trajectory.windows
    return tuple(sorted({math.ceil(each * steps / windows) for each in range(1, windows + 1)}))
