"""What a network that ships is made for: the shape of its images or rows, and how many classes there are."""

from dataclasses import dataclass

from harness.config import (
    DATASETS,
    AnyDatasetConfig,
    DatasetConfig,
    NetworkConfig,
    OwnDatasetConfig,
    OwnModelConfig,
    RunConfig,
    require_fitting,
    require_one_of_each,
)
from harness.errors import BadInputError
from harness.training.images import Splits, shape_of

CHAPTER = DATASETS["mnist"]


@dataclass(frozen=True)
class Inputs:
    """The shape of an image (channels, height, width), or of a row of a table (features,), and how many classes."""

    shape: tuple[int, ...]
    classes: int


def inputs_of(config: RunConfig) -> Inputs:
    """Return what the config's network is made for. It is the config alone that says it."""
    if isinstance(config.dataset, DatasetConfig):
        return Inputs(config.dataset.known.shape, len(config.dataset.known.class_names))
    assert not isinstance(config.model, OwnModelConfig), "a user's own model decides for itself"
    return Inputs(config.model.shape or CHAPTER.shape, config.model.classes or len(CHAPTER.class_names))


def found_inputs(data: Splits) -> Inputs:
    """Return what there is in the data."""
    labels = [split.labels for split in (data.train, data.validation, data.test) if len(split)]
    return Inputs(shape_of(data.train.images), 1 + max(int(each.max()) for each in labels))


def with_inputs(config: RunConfig, found: Inputs) -> RunConfig:
    """Return the config with what was found in a user's own data, where its network is one that ships.

    Images of MNIST's shape, of no more classes, leave it as it is: so the configs of before have it.

    Raises:
        BadInputError: the network is none for such data, or the config says otherwise.
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
                f"are not those of {dataset.name!r}",
                expected=f"{found.shape} and {found.classes} or more",
                next_step="correct them, or leave both out",
            )
        return config
    if found.shape == CHAPTER.shape and found.classes <= len(CHAPTER.class_names):
        return config
    changed = model.model_copy(update={"shape": found.shape, "classes": found.classes})
    return config.model_copy(update={"model": changed})


def require_statistics(dataset: AnyDatasetConfig, data: Splits) -> None:
    """Refuse means or standard deviations of another number of channels or features than the data have.

    Raises:
        BadInputError: they are refused.
    """
    for key, values in (("mean", dataset.mean), ("std", dataset.std)):
        require_one_of_each(key, values, shape_of(data.train.images))


def _said(model: NetworkConfig) -> tuple[tuple[int, ...] | None, int | None]:
    return model.shape, model.classes
