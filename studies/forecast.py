"""Forecast how long a sweep would take here: measure a few real steps of each optimizer, and scale to the budget."""

from collections.abc import Mapping, Sequence
from statistics import mean

from harness.config import DATASETS, OwnDatasetConfig, measured_steps
from harness.records import Stage
from harness.training.timing import ImageSeconds, measure_seconds
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool
from studies.progress import Progress

POSITIONS = (0.25, 0.75)  # measured positions within each searched range or choice
BESIDES = 25.0  # seconds for imports, starting workers, and drawing and tracking the report; measured on two cores


def forecast(definition: SweepDefinition, pool: WorkerPool) -> float:
    """Return the seconds from the command to the report of a new sweep with this definition and these workers."""
    return estimate_seconds(definition, pool.workers, measure(definition, pool))


def measure(definition: SweepDefinition, pool: WorkerPool) -> dict[str, list[ImageSeconds]]:
    """Return the seconds per image of each optimizer, at a few values of the searched dimensions.

    All optimizers are measured at the same time, as trials train in a sweep, since they slow each other down.
    """
    seconds: dict[str, list[ImageSeconds]] = {name: [] for name in definition.optimizers}
    for position in POSITIONS:
        configs = [definition.example(name, position) for name in definition.optimizers]
        futures = [pool.executor.submit(measure_seconds, config) for config in configs]
        for name, future in zip(definition.optimizers, futures, strict=True):
            seconds[name].append(future.result())
    return seconds


def estimate_seconds(
    definition: SweepDefinition, workers: int, seconds: Mapping[str, Sequence[ImageSeconds]]
) -> float:
    """Return the seconds that a sweep takes, given the measured seconds per image of each optimizer.

    Pruning does not change the estimate: it leads to more trials, not to fewer epochs.
    """
    nothing = dict.fromkeys(definition.optimizers, 0)
    progress = Progress(definition, workers, nothing, nothing, {})
    data = definition.base.dataset
    test_size = data.test_size if isinstance(data, OwnDatasetConfig) else DATASETS[data.name].test_images
    for name, measured in seconds.items():
        train, evaluate = mean(each.train for each in measured), mean(each.evaluate for each in measured)
        within = len(measured_steps(definition.base, 1)) * min(
            definition.base.trajectory.images, data.validation_size
        )
        trial = train * data.train_size + evaluate * (data.validation_size + within)
        progress.expect(Stage.TRIAL, name, trial)
        progress.expect(Stage.FINAL, name, trial + evaluate * test_size)
    left = progress.seconds_left
    assert left is not None, "epochs are expected"
    return left + BESIDES
