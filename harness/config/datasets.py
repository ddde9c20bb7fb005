"""Which images a run is trained and measured on, how they are split, and what is done to a training image."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from harness.config.base import FrozenModel
from harness.config.plugins import OwnConfig, own_or
from harness.errors import BadInputError

DatasetName = Literal[
    "mnist",
    "fashion-mnist",
]
# the chapter's Normalize(0.1302, 0.3069), kept for every dataset so that configs compare
MEAN = 0.1302
STANDARD_DEVIATION = 0.3069


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset that ships, or that torchvision has.

    `torchvision_class` reads it from a folder; a report gives the time to each of `targets`, accuracies as fractions.
    """

    torchvision_class: str
    class_names: tuple[str, ...]
    targets: tuple[float, ...]
    training_images: int = 60_000
    test_images: int = 10_000


DATASETS: dict[DatasetName, Dataset] = {
    "mnist": Dataset("MNIST", tuple("0123456789"), (0.97, 0.98, 0.985, 0.99)),
    "fashion-mnist": Dataset(
        "FashionMNIST",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        (0.85, 0.88, 0.90, 0.92),
    ),
}


class DatasetConfig(FrozenModel):
    """Which images, and how the training images are split."""

    name: DatasetName = "mnist"
    train_size: Annotated[int, Field(ge=1)] = 50_000
    validation_size: Annotated[int, Field(ge=0)] = 10_000
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _fits_the_training_set(self) -> Self:
        there = DATASETS[self.name].training_images
        if self.train_size + self.validation_size > there:
            raise BadInputError(
                "train_size + validation_size",
                self.train_size + self.validation_size,
                expected=f"at most {there}, the training images of {self.name}",
            )
        return self


class OwnDatasetConfig(OwnConfig):
    """A user's own function that returns images and labels, two tensors or arrays, and how they are split.

    Images are (n, height, width), (n, channels, height, width) or rows of features (n, features): uint8, normalised
    as MNIST's are, or floating point, which are taken as they are, in float32. Labels are whole numbers (n,), from 0.
    """

    train_size: Annotated[int, Field(ge=1)]
    validation_size: Annotated[int, Field(ge=0)]
    test_size: Annotated[int, Field(ge=1)]
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


AnyDatasetConfig = DatasetConfig | OwnDatasetConfig
AnyDataset = Annotated[
    Annotated[DatasetConfig, Tag("torchvision")] | Annotated[OwnDatasetConfig, Tag("own")],
    Discriminator(own_or("torchvision")),
]


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
