"""Define the config of a run's dataset, its split, its normalisation, and the augmentation of training images."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from harness.config.base import FrozenModel, Positive
from harness.config.plugins import OwnConfig, own_or
from harness.config.registry import CHAPTER, DATASETS, Dataset, DatasetName
from harness.errors import BadInputError


def _listed(value: Any) -> Any:  # noqa: ANN401
    """Return a list with the number if `value` is one number, which then holds for all channels; else the value."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [value] if is_number else value


Means = Annotated[tuple[float, ...] | None, BeforeValidator(_listed)]
Deviations = Annotated[tuple[Positive, ...] | None, BeforeValidator(_listed)]


class DatasetConfig(FrozenModel):
    """Choose a dataset of the registry and the split of its training images; the default sizes are the dataset's.

    Pixels (0 to 1) and features are normalised: `mean` is subtracted, then they are divided by `std`. Each has one
    number for all channels or features, or one per channel or feature. None: the numbers of the registry, which are
    the chapter's for MNIST.
    """

    added_later: ClassVar[frozenset[str]] = frozenset({"mean", "std"})

    name: DatasetName = "mnist"
    train_size: Annotated[int, Field(ge=1)] = CHAPTER.train_size
    validation_size: Annotated[int, Field(ge=0)] = CHAPTER.validation_size
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    mean: Means = None
    std: Deviations = None

    @model_validator(mode="before")
    @classmethod
    def _with_the_sizes_of_its_dataset(cls, values: Any) -> Any:  # noqa: ANN401
        name = values.get("name") if isinstance(values, Mapping) else None
        if not isinstance(name, str) or name not in DATASETS:
            return values
        return {"train_size": DATASETS[name].train_size, "validation_size": DATASETS[name].validation_size, **values}

    @property
    def known(self) -> Dataset:
        """Return the dataset's description in the registry."""
        return DATASETS[self.name]

    @model_validator(mode="after")
    def _fits_the_training_set(self) -> Self:
        there, things = self.known.training_images, things_of(self)
        if self.train_size + self.validation_size > there:
            raise BadInputError(
                "train_size + validation_size",
                self.train_size + self.validation_size,
                expected=f"at most {there}, the training {things} of {self.name}",
            )
        return self

    @model_validator(mode="after")
    def _has_a_mean_of_each_channel(self) -> Self:
        for key, values in (("mean", self.mean), ("std", self.std)):
            require_one_of_each(key, values, self.known.shape)
        return self


class OwnDatasetConfig(OwnConfig):
    """Choose a user's own function that returns images and labels as two tensors or arrays, and their split.

    Images are (n, height, width), (n, channels, height, width) or rows of features (n, features). Images of uint8 are
    pixels and are divided by 255; floating-point images are converted to float32. Labels are whole numbers (n,) from
    0. `mean` and `std` normalise as in `DatasetConfig`. None: MNIST's numbers for uint8, no normalisation for
    floating point.
    """

    added_later: ClassVar[frozenset[str]] = frozenset({"mean", "std"})

    train_size: Annotated[int, Field(ge=1)]
    validation_size: Annotated[int, Field(ge=0)]
    test_size: Annotated[int, Field(ge=1)]
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    mean: Means = None
    std: Deviations = None


AnyDatasetConfig = DatasetConfig | OwnDatasetConfig
AnyDataset = Annotated[
    Annotated[DatasetConfig, Tag("named")] | Annotated[OwnDatasetConfig, Tag("own")],
    Discriminator(own_or("named")),
]


def things_of(dataset: AnyDatasetConfig) -> str:
    """Return "rows" for a table of the registry, else "images"; a user's own data is unknown until it is read."""
    return "rows" if isinstance(dataset, DatasetConfig) and dataset.known.is_table else "images"


def require_one_of_each(key: str, values: tuple[float, ...] | None, shape: tuple[int, ...]) -> None:
    """Check that the means or standard deviations under `key` are one number, or one per channel or feature.

    `shape` is that of an image (channels, height, width) or of a row (features,).

    Raises:
        BadInputError: the number of values is another.
    """
    if values is not None and len(values) not in (1, shape[0]):
        what = "channel" if len(shape) > 1 else "feature"
        expected = "1" if shape[0] == 1 else f"1, or {shape[0]}, one per {what}"
        raise BadInputError(f"dataset.{key}", list(values), f"has {len(values)} numbers", expected=expected)


def statistics(dataset: AnyDatasetConfig, are_pixels: bool) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return the means and standard deviations that normalise a dataset; None if it is not normalised.

    `are_pixels` says whether its images are uint8.
    """
    known = dataset.known if isinstance(dataset, DatasetConfig) else CHAPTER if are_pixels else None
    if known is not None:
        return dataset.mean or known.mean, dataset.std or known.std
    return (dataset.mean or (0.0,), dataset.std or (1.0,)) if dataset.mean or dataset.std else None


class AugmentationConfig(FrozenModel):
    """Configure torchvision's v2 transforms of training images, which are drawn for each image of each epoch."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """The largest rotation in degrees, in both directions; 0: no rotation."""
    translation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The largest shift, as a fraction of a side; 0: no shift."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The largest change of size, as a fraction; 0: no change."""
    horizontal_flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The probability of a horizontal flip."""
