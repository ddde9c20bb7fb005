"""List the datasets that have a name, and describe each in one row: source, classes, shape, normalisation, sizes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

DatasetName = Literal[
    "mnist",
    "fashion-mnist",
    "kmnist",
    "qmnist",
    "emnist-digits",
    "emnist-letters",
    "emnist-balanced",
    "usps",
    "svhn",
    "cifar10",
    "cifar100",
    "digits",
    "wine",
    "breast-cancer",
]


@dataclass(frozen=True)
class Torchvision:
    """Describe a dataset that torchvision reads from a folder, or downloads into a folder.

    `name` is its class in `torchvision.datasets`. The arguments `train` select the training part, and `test` the test
    part. `files` names in words the files in the folder. Labels count from `first_label`.
    """

    name: str
    files: str
    train: Mapping[str, Any] = field(default_factory=lambda: {"train": True})
    test: Mapping[str, Any] = field(default_factory=lambda: {"train": False})
    first_label: int = 0
    transposed: bool = False  # rows and columns of its images are exchanged


@dataclass(frozen=True)
class ScikitLearn:
    """Describe a dataset that scikit-learn contains; `name` is its loader in `sklearn.datasets`.

    The dataset has no test part. A fixed seed draws one, with the classes in proportion and the same in every run. If
    `scale` is given, the features are pixels: they are multiplied by `scale` and rounded to uint8.
    """

    name: str
    scale: float | None = None


@dataclass(frozen=True)
class Dataset:
    """Describe a dataset.

    `shape` is the shape of an image (channels, height, width), or of a row of a table (features,). Pixels (0 to 1)
    and features are normalised by `mean` and `std`: one number for all, or one per channel or feature. Never change
    these numbers, because the results of recorded runs depend on them. `figure` is the side in pixels of the square
    into which the makers of the dataset fitted each light figure on dark ground; None for photographs and tables.
    `validation_size` is the size of the default split. A report of a single run gives the time to each accuracy
    (fraction) in `targets`.
    """

    source: Torchvision | ScikitLearn
    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    targets: tuple[float, ...]
    training_images: int = 60_000
    test_images: int = 10_000
    validation_size: int = 10_000
    figure: int | None = None

    @property
    def train_size(self) -> int:
        """Return the default number of images to train on: all that are not used for validation."""
        return self.training_images - self.validation_size

    @property
    def is_table(self) -> bool:
        """Return whether the dataset has rows of features instead of images."""
        return len(self.shape) == 1


def _idx(name: str) -> Torchvision:
    return Torchvision(name, f"its IDX files under {name}/raw")


def _emnist(split: str, first_label: int = 0) -> Torchvision:
    """Return a split of EMNIST, whose images torchvision returns as in the files, with rows and columns exchanged."""
    return Torchvision(
        "EMNIST",
        f"the files emnist-{split}-* of its gzip.zip, unpacked, under EMNIST/raw",
        train={"split": split, "train": True},
        test={"split": split, "train": False},
        first_label=first_label,
        transposed=True,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()))


def _cifar(name: str, folder: str) -> Torchvision:
    return Torchvision(name, f"its folder {folder}")


_DIGITS = tuple("0123456789")
_GREY_28 = (1, 28, 28)
_COLOUR_32 = (3, 32, 32)

# Means and standard deviations: MNIST has the chapter's numbers, and so has Fashion-MNIST, as in the first version.
# The other datasets of torchvision have the commonly published numbers of their training images, to four digits;
# QMNIST has MNIST's published numbers, since it reconstructs MNIST's training images. The numbers of scikit-learn's
# datasets are computed from all images but the test part; a test repeats this.
DATASETS: dict[str, Dataset] = {
    "mnist": Dataset(
        _idx("MNIST"),
        _DIGITS,
        _GREY_28,
        mean=(0.1302,),
        std=(0.3069,),
        targets=(0.97, 0.98, 0.985, 0.99),
        figure=20,
    ),
    "fashion-mnist": Dataset(
        _idx("FashionMNIST"),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        _GREY_28,
        mean=(0.1302,),
        std=(0.3069,),
        targets=(0.85, 0.88, 0.90, 0.92),
        figure=28,
    ),
    "kmnist": Dataset(
        _idx("KMNIST"),
        _words("o ki su tsu na ha ma ya re wo"),
        _GREY_28,
        mean=(0.1918,),
        std=(0.3483,),
        targets=(0.85, 0.90, 0.93, 0.95),
        figure=28,
    ),
    "qmnist": Dataset(
        Torchvision("QMNIST", "its files qmnist-* of images and labels under QMNIST/raw"),
        _DIGITS,
        _GREY_28,
        mean=(0.1307,),
        std=(0.3081,),
        targets=(0.97, 0.98, 0.985, 0.99),
        test_images=60_000,
        figure=20,
    ),
    "emnist-digits": Dataset(
        _emnist("digits"),
        _DIGITS,
        _GREY_28,
        mean=(0.1733,),
        std=(0.3317,),
        targets=(0.98, 0.985, 0.99, 0.993),
        training_images=240_000,
        test_images=40_000,
        validation_size=40_000,
        figure=24,
    ),
    "emnist-letters": Dataset(
        _emnist("letters", first_label=1),
        tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),  # each class has both upper and lower case
        _GREY_28,
        mean=(0.1722,),
        std=(0.3309,),
        targets=(0.85, 0.88, 0.90, 0.92),
        training_images=124_800,
        test_images=20_800,
        validation_size=20_800,
        figure=24,
    ),
    "emnist-balanced": Dataset(
        _emnist("balanced"),
        # letters that look alike in upper and lower case share one class
        tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
        _GREY_28,
        mean=(0.1751,),
        std=(0.3332,),
        targets=(0.75, 0.80, 0.83, 0.85),
        training_images=112_800,
        test_images=18_800,
        validation_size=18_800,
        figure=24,
    ),
    "usps": Dataset(
        Torchvision("USPS", "usps.bz2 and usps.t.bz2"),
        _DIGITS,
        (1, 16, 16),
        mean=(0.2469,),
        std=(0.2989,),
        targets=(0.90, 0.92, 0.94, 0.95),
        training_images=7_291,
        test_images=2_007,
        validation_size=1_291,
        figure=16,
    ),
    "svhn": Dataset(
        Torchvision("SVHN", "train_32x32.mat and test_32x32.mat", {"split": "train"}, {"split": "test"}),
        _DIGITS,
        _COLOUR_32,
        mean=(0.4377, 0.4438, 0.4728),
        std=(0.1980, 0.2010, 0.1970),
        targets=(0.75, 0.80, 0.85, 0.88),
        training_images=73_257,
        test_images=26_032,
        validation_size=13_257,
    ),
    "cifar10": Dataset(
        _cifar("CIFAR10", "cifar-10-batches-py"),
        _words("airplane automobile bird cat deer dog frog horse ship truck"),
        _COLOUR_32,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        targets=(0.50, 0.60, 0.65, 0.70),
        training_images=50_000,
    ),
    "cifar100": Dataset(
        _cifar("CIFAR100", "cifar-100-python"),
        _words(
            "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly "
            "camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup "
            "dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower "
            "leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid "
            "otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray "
            "road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar "
            "sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle "
            "wardrobe whale willow_tree wolf woman worm"
        ),
        _COLOUR_32,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        targets=(0.20, 0.25, 0.30, 0.35),
        training_images=50_000,
    ),
    "digits": Dataset(
        ScikitLearn("load_digits", scale=255 / 16),
        _DIGITS,
        (1, 8, 8),
        mean=(0.3063,),
        std=(0.3765,),
        targets=(0.90, 0.93, 0.95, 0.97),
        training_images=1_300,
        test_images=497,
        validation_size=300,
        figure=8,
    ),
    "wine": Dataset(
        ScikitLearn("load_wine"),
        ("cultivar 1", "cultivar 2", "cultivar 3"),
        (13,),
        mean=_numbers("12.98 2.245 2.386 19.66 99.68 2.314 2.023 0.3732 1.621 5.037 0.9789 2.629 755.4"),
        std=_numbers("0.8199 1.083 0.2945 3.307 14.87 0.5917 1.008 0.1246 0.6004 2.409 0.2407 0.6522 334.2"),
        targets=(0.80, 0.90, 0.95, 0.98),
        training_images=118,
        test_images=60,
        validation_size=30,
    ),
    "breast-cancer": Dataset(
        ScikitLearn("load_breast_cancer"),
        ("malignant", "benign"),
        (30,),
        mean=_numbers(
            "14.18 19.37 92.27 660.7 0.09594 0.1025 0.08646 0.04862 0.18 0.06242 0.4008 1.198 2.844 40.19 "
            "0.007002 0.02475 0.03034 0.01163 0.02047 0.003681 16.31 25.78 107.5 886.7 0.1319 0.2505 0.2674 "
            "0.1144 0.2896 0.08323"
        ),
        std=_numbers(
            "3.563 4.387 24.48 361 0.01368 0.05108 0.0761 0.03813 0.02559 0.007024 0.2849 0.5174 2.085 48.47 "
            "0.003056 0.01731 0.02269 0.005635 0.008011 0.002334 4.867 6.186 33.8 585 0.02233 0.1566 0.2013 "
            "0.06445 0.06187 0.01796"
        ),
        targets=(0.90, 0.93, 0.95, 0.97),
        training_images=400,
        test_images=169,
        validation_size=100,
    ),
}

CHAPTER = DATASETS["mnist"]
