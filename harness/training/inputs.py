"""Find the shape of a run's images or rows and its number of classes, for which built-in networks are made."""

from dataclasses import dataclass

from harness.config import (
    AnyDatasetConfig,
    DatasetConfig,
    NetworkConfig,
    OwnDatasetConfig,
    OwnModelConfig,
    RunConfig,
    require_fitting,
    require_one_of_each,
)
from harness.config.registry import CHAPTER
from harness.errors import BadInputError
from harness.training.images import Splits, shape_of


@dataclass(frozen=True)
class Inputs:
    """Hold the shape of an image (channels, height, width) or of a row (features,), and the number of classes."""

    shape: tuple[int, ...]
    classes: int


def inputs_of(config: RunConfig) -> Inputs:
    """Return the shape and number of classes for which the config's network is made; only the config decides them."""
    if isinstance(config.dataset, DatasetConfig):
        return Inputs(config.dataset.known.shape, len(config.dataset.known.class_names))
    assert not isinstance(config.model, OwnModelConfig), "a user's own model decides for itself"
    return Inputs(config.model.shape or CHAPTER.shape, config.model.classes or len(CHAPTER.class_names))


def found_inputs(data: Splits) -> Inputs:
    """Return the shape and number of classes of the data."""
    labels = [split.labels for split in (data.train, data.validation, data.test) if len(split)]
    return Inputs(shape_of(data.train.images), 1 + max(int(each.max()) for each in labels))


def with_inputs(config: RunConfig, found: Inputs) -> RunConfig:
    """Return the config with the shape and number of classes found in a user's own data, for a built-in network.

    Data with MNIST's shape and at most as many classes do not change the config, so that older configs stay the same.

    Raises:
        BadInputError: the network can't process such data, or the config has another shape or too few classes.
    """
    dataset, model = config.dataset, config.model
    if not isinstance(dataset, OwnDatasetConfig) or isinstance(model, OwnModelConfig):
        return config
    require_fitting(model, found.shape, dataset.name)
    said = _said(model)
    if said != (None, None):
        if found.shape != (said[0] or CHAPTER.shape) or found.classes > (said[1] or len(CHAPTER.class_names)):
            raise BadInputError(
                "model.shape, model.classes",
                said,
                f"do not fit {dataset.name!r}",
                expected=f"{found.shape} and {found.classes} or more",
                next_step="correct both settings, or leave them out",
            )
        return config
    if found.shape == CHAPTER.shape and found.classes <= len(CHAPTER.class_names):
        return config
    changed = model.model_copy(update={"shape": found.shape, "classes": found.classes})
    return config.model_copy(update={"model": changed})


def require_statistics(dataset: AnyDatasetConfig, data: Splits) -> None:
    """Check that the dataset's means and standard deviations have one number, or one per channel or feature.

    Raises:
        BadInputError: the number of values is another.
    """
    for key, values in (("mean", dataset.mean), ("std", dataset.std)):
        require_one_of_each(key, values, shape_of(data.train.images))


def _said(model: NetworkConfig) -> tuple[tuple[int, ...] | None, int | None]:
    return model.shape, model.classes
