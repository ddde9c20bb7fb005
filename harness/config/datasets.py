"""Which images a run is trained and measured on, how they are split, and what is done to a training image."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from harness.config.base import FrozenModel, Positive
from harness.config.plugins import OwnConfig, own_or
from harness.config.registry import DATASETS, Dataset, DatasetName
from harness.errors import BadInputError

CHAPTER = DATASETS["mnist"]


def _listed(value: Any) -> Any:  # noqa: ANN401
    """One number as a list of it: all channels have the same."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [value] if is_number else value


Means = Annotated[tuple[float, ...] | None, BeforeValidator(_listed)]
Deviations = Annotated[tuple[Positive, ...] | None, BeforeValidator(_listed)]


class DatasetConfig(FrozenModel):
    """A dataset of the registry, and how its training images are split; without sizes, by its default.

    Pixels, 0 to 1, and features are normalised: less `mean`, over `std`, either one number for all or one of each
    channel or feature. None: those of the registry, the chapter's for MNIST.
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
        """What the registry knows of it."""
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
    """A user's own function that returns images and labels, two tensors or arrays, and how they are split.

    Images are (n, height, width), (n, channels, height, width) or rows of features (n, features): uint8, which are
    pixels and divided by 255, or floating point, in float32. Labels are whole numbers (n,), from 0. They are
    normalised as those of the registry are: None stands for MNIST's of uint8; floating point is taken as it is.
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
    """Return what it has, in words: images or rows. What a user's own has is not known before it is read."""
    return "rows" if isinstance(dataset, DatasetConfig) and dataset.known.is_table else "images"


def require_one_of_each(key: str, values: tuple[float, ...] | None, shape: tuple[int, ...]) -> None:
    """Refuse means or standard deviations that are neither one nor as many as images of that shape have channels.

    Raises:
        BadInputError: they are refused.
    """
    if values is not None and len(values) not in (1, shape[0]):
        what = "channel" if len(shape) > 1 else "feature"
        expected = "1" if shape[0] == 1 else f"1, or {shape[0]}, one of each {what}"
        raise BadInputError(f"dataset.{key}", list(values), f"has {len(values)} numbers", expected=expected)


def statistics(dataset: AnyDatasetConfig, are_pixels: bool) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return the mean and the standard deviation that a dataset is normalised by; None where it is taken as it is.

    `are_pixels`: its images are uint8.
    """
    known = dataset.known if isinstance(dataset, DatasetConfig) else CHAPTER if are_pixels else None
    if known is not None:
        return dataset.mean or known.mean, dataset.std or known.std
    return (dataset.mean or (0.0,), dataset.std or (1.0,)) if dataset.mean or dataset.std else None


class AugmentationConfig(FrozenModel):
    """What is done to a training image, drawn anew for each image of each epoch: torchvision's v2 transforms."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """The largest rotation, in degrees either way; 0: none."""
    translation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The largest shift, as a fraction of a side; 0: none."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The largest change of size, as a fraction; 0: none."""
    horizontal_flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The probability of a flip."""
