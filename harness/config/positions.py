"""Where a run is, in steps, images or epochs, each from the other; and the steps at which it is measured."""

import math

from harness.config.run import RunConfig

NEARLY = 1e-9  # what is lost of a fraction of an epoch by its being a float


def steps_per_epoch(config: RunConfig) -> int:
    """Return the batches of an epoch, the last and smaller one included."""
    return math.ceil(config.dataset.train_size / config.batch_size)


def images_at(config: RunConfig, step: int) -> int:
    """Return how many images a run has been trained on after so many steps."""
    epochs, rest = divmod(step, steps_per_epoch(config))
    return epochs * config.dataset.train_size + min(rest * config.batch_size, config.dataset.train_size)


def step_after(config: RunConfig, images: int) -> int:
    """Return the steps in which a run has been trained on so many images: `images_at` the other way round."""
    epochs, rest = divmod(images, config.dataset.train_size)
    return epochs * steps_per_epoch(config) + math.ceil(rest / config.batch_size)


def step_at(config: RunConfig, epochs: float) -> int:
    """Return the steps of so many epochs. Of a fraction of an epoch only whole batches count, but at least one."""
    whole = math.floor(epochs + NEARLY)
    part = (epochs - whole) * steps_per_epoch(config)
    begun = max(1, math.floor(part + NEARLY * part)) if part > NEARLY * steps_per_epoch(config) else 0
    return whole * steps_per_epoch(config) + begun


def measured_steps(config: RunConfig, epoch: int) -> tuple[int, ...]:
    """Return the steps within an epoch, from 1, after which the model is measured on a part of the validation set.

    `epoch` counts from 1. The epoch's last step is not among them: the whole validation set is measured there.
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
    """Return the steps within an epoch, from 1, with which a window of them ends; the last is the epoch's."""
    steps, windows = steps_per_epoch(config), config.trajectory.windows
    return tuple(sorted({math.ceil(each * steps / windows) for each in range(1, windows + 1)}))
