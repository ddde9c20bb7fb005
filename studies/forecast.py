"""How long a sweep would take here, before it begins: a few real steps of each optimizer, scaled to the budget."""

from collections.abc import Mapping, Sequence
from statistics import mean

from harness.config import DATASETS, OwnDatasetConfig, measured_steps
from harness.records import Stage
from harness.training.timing import ImageSeconds, measure_seconds
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool
from studies.progress import Progress

POSITIONS = (0.25, 0.75)  # within each range or choice that is searched
BESIDES = 25.0  # seconds to import, start workers, and draw and track the report; measured on two cores


def forecast(definition: SweepDefinition, pool: WorkerPool) -> float:
    """Seconds from the command to its report, were the sweep begun anew with those workers."""
    return reckon(definition, pool.workers, measure(definition, pool))


def measure(definition: SweepDefinition, pool: WorkerPool) -> dict[str, list[ImageSeconds]]:
    """Return the seconds of an image of each optimizer, at a few values of what is searched.

    One of each optimizer at a time: as many side by side as trials train, since they slow each other down.
    """
    seconds: dict[str, list[ImageSeconds]] = {name: [] for name in definition.optimizers}
    for position in POSITIONS:
        configs = [definition.example(name, position) for name in definition.optimizers]
        futures = [pool.executor.submit(measure_seconds, config) for config in configs]
        for name, future in zip(definition.optimizers, futures, strict=True):
            seconds[name].append(future.result())
    return seconds


def reckon(definition: SweepDefinition, workers: int, seconds: Mapping[str, Sequence[ImageSeconds]]) -> float:
    """Return the seconds of a sweep whose images take so long.

    The budget counts: pruning makes more trials of it, not fewer epochs.
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
