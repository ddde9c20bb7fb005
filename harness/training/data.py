"""Datasets as in-memory tensors: checksums, the train/validation/test split, normalisation, batch order."""

import contextlib
import functools
import gzip
import hashlib
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from harness.config import AnyDatasetConfig, OwnDatasetConfig
from harness.config.plugins import find
from harness.errors import BadInputError, described
from harness.paths import WORK_FOLDER
from harness.records import DatasetInput, DatasetUse

# The chapter's Normalize(0.1302, 0.3069), kept for every dataset so that configs compare.
MEAN = 0.1302
STANDARD_DEVIATION = 0.3069

DIGEST_LENGTH = 36  # characters that MLflow keeps of a dataset's digest

MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


CLASS_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
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
}


@dataclass(frozen=True)
class Split:
    """Images uint8 (n, 28, 28) and labels int64 (n,), on one device. Own images as `OwnDatasetConfig` has them.

    Features (n, features) of a table are images here, of one dimension.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """What a run may see. `digest` is the SHA-256 of all images and labels of the dataset.

    `source` is the folder that they were read from, or a user's own function.
    """

    train: Split
    validation: Split
    test: Split
    digest: str
    source: Path | str


def load_splits(config: AnyDatasetConfig, device: str, data_dir: Path | None = None) -> Splits:
    """The dataset on `device`, split as `config` says.

    Raises:
        BadInputError: damaged or missing files, what isn't images and labels, or fewer than the config asks for.
    """
    train, test = _own_parts(config) if isinstance(config, OwnDatasetConfig) else _read(config.name, data_dir)
    if config.train_size + config.validation_size > len(train):
        raise BadInputError(
            f"dataset.train_size + dataset.validation_size is {config.train_size + config.validation_size}: "
            f"at most {len(train)} is allowed, the training images in {_whence(config, data_dir)}; "
            "choose smaller ones"
        )
    order = stratified_order(train.labels, config.split_seed)
    validation_part = order[: config.validation_size]
    train_part = order[config.validation_size : config.validation_size + config.train_size]

    def take(part: Tensor) -> Split:
        index = part.sort().values  # file order, so that all 60,000 are the chapter's dataset
        return Split(train.images[index].to(device), train.labels[index].to(device))

    return Splits(
        train=take(train_part),
        validation=take(validation_part),
        test=Split(test.images.to(device), test.labels.to(device)),
        digest=_digest(train, test),
        source=_source(config, data_dir),
    )


def class_names(config: AnyDatasetConfig, classes: int) -> tuple[str, ...]:
    """What so many classes are called: as many names, numbers where the dataset has none."""
    names = CLASS_NAMES.get(config.name, ())[:classes]
    return names + tuple(map(str, range(len(names), classes)))


def dataset_inputs(config: AnyDatasetConfig, data: Splits, uses: Sequence[DatasetUse]) -> tuple[DatasetInput, ...]:
    """What a run of that config records of its data, for each use of them."""
    test_set = (config.split_seed, config.test_size) if isinstance(config, OwnDatasetConfig) else ()
    # how many images, and what else decides which ones
    parts: dict[DatasetUse, tuple[int, tuple[int, ...]]] = {
        "training": (config.train_size, (config.split_seed, config.validation_size, *test_set)),
        "validation": (config.validation_size, (config.split_seed, *test_set)),
        "testing": (len(data.test), test_set),
    }

    def of(use: DatasetUse) -> DatasetInput:
        which = hashlib.sha256(f"{data.digest} {use} {parts[use]}".encode()).hexdigest()
        digest = data.digest[: DIGEST_LENGTH // 2] + which[: DIGEST_LENGTH // 2]
        return DatasetInput(name=config.name, use=use, digest=digest, source=data.source, images=parts[use][0])

    return tuple(of(use) for use in uses)


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """An order of the images (n,) in which every prefix has the classes in proportion, within one image each.

    Each class is shuffled, its images are spread evenly over [0, 1), and all are merged by that position.
    """
    generator = torch.Generator().manual_seed(seed)
    position = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = (labels == label).nonzero().squeeze(1)
        shuffled = members[torch.randperm(len(members), generator=generator)]
        position[shuffled] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return position.argsort(stable=True)


def normalize(images: Tensor) -> Tensor:
    """Pixels uint8 (n, 28, 28) as float32 (n, 1, 28, 28), exactly as ToTensor and Normalize do it.

    Own images may have channels, (n, channels, height, width); features (n, features) keep their shape.
    Floating-point ones are taken as they are.
    """
    with_channels = images.unsqueeze(1) if images.dim() == 3 else images
    if images.dtype != torch.uint8:
        return with_channels.to(torch.float32, copy=True)  # a model may change its input in place
    return with_channels.to(torch.float32).div_(255).sub_(MEAN).div_(STANDARD_DEVIATION)


def picture(image: Tensor) -> Tensor | None:
    """An image as uint8 (28, 28), for a person to look at: grey, from its darkest to its lightest, scaled to size.

    None for a row of features, which has no picture.
    """
    if image.dim() == 1:
        return None
    if image.dtype == torch.uint8 and image.shape == (28, 28):
        return image.cpu()
    grey = image.cpu().to(torch.float32).reshape(-1, *image.shape[-2:]).mean(dim=0)
    stretched = (grey - grey.min()) / (grey.max() - grey.min()).clamp(min=1e-12) * 255
    return F.interpolate(stretched[None, None], size=(28, 28), mode="area")[0, 0].to(torch.uint8)


def epoch_order(size: int) -> Tensor:
    """The order (size,) in which `DataLoader(shuffle=True)` would visit the data, from the global generator.

    A pass draws one int64 as the workers' base seed and a second that seeds the sampler
    (torch/utils/data: `_BaseDataLoaderIter`, `RandomSampler`).
    """
    _draw_seed()
    generator = torch.Generator().manual_seed(_draw_seed())
    return torch.randperm(size, generator=generator)


def skip_evaluation_pass() -> None:
    """Advance the global generator as the chapter's test DataLoader does once an epoch.

    Drawn whether or not anything is evaluated, so that training never depends on evaluation.
    """
    _draw_seed()


def _draw_seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_().item())


def _read(name: str, data_dir: Path | None) -> tuple[Split, Split]:
    if data_dir is not None and not data_dir.is_dir():
        raise BadInputError(
            f"data folder {str(data_dir)!r} is not there: "
            "name a folder in torchvision's layout, or leave out --data-dir"
        )
    if name == "mnist" and data_dir is None:
        return _read_shipped_mnist()
    return _read_torchvision(name, data_dir and data_dir.resolve())


def _whence(config: AnyDatasetConfig, data_dir: Path | None) -> str:
    return repr(config.name if isinstance(config, OwnDatasetConfig) else str(data_dir))


def _own_parts(config: OwnDatasetConfig) -> tuple[Split, Split]:
    """A user's own images, of which the test set is a stratified part."""
    images, labels = _own_tensors(config)
    problem = _problem_of(images, labels)
    if problem:
        raise _unusable(config, f"has {problem}")
    least = 3 if config.validation_size else 2  # one to train on, one to test, and one to validate
    if len(labels) < least:
        raise _unusable(config, f"has {len(labels)} images, where {least} or more are expected")
    most = len(labels) - least + 1
    if config.test_size > most:
        raise BadInputError(
            f"dataset.test_size {config.test_size}: 1 to {most} is allowed, what {config.name!r} has "
            f"beside an image to train on{' and one to validate' if config.validation_size else ''}; "
            "choose a smaller one"
        )
    order = stratified_order(labels, config.split_seed)
    test, rest = order[: config.test_size].sort().values, order[config.test_size :].sort().values
    return Split(images[rest], labels[rest]), Split(images[test], labels[test])


def _own_tensors(config: OwnDatasetConfig) -> tuple[Tensor, Tensor]:
    """What the user's function returns, on the CPU: floating-point images as float32, whole labels as int64."""
    make = find(config.name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the command's result
            found = make(**config.arguments)
    except (Exception, SystemExit) as error:  # whatever the user's code raises is theirs to read, in one line
        raise BadInputError(
            f"dataset {config.name!r} raised {described(error)}{_line_of(error)}: images and labels are expected; "
            "correct the function, its arguments, or what it reads"
        ) from None
    if not (isinstance(found, tuple | list) and len(found) == 2):
        length = f" of {len(found)}" if isinstance(found, tuple | list) else ""
        raise _unusable(config, f"returns {type(found).__name__}{length}")
    try:
        images, labels = map(_as_tensor, found)
    except Exception as error:  # an array-like's own code, too
        raise _unusable(config, f"returns what can't be taken as a tensor ({described(error)})") from None
    images = images.float() if images.is_floating_point() else images
    whole = not (labels.is_floating_point() or labels.is_complex())
    return images, labels.to(torch.int64) if whole else labels


def _line_of(error: BaseException) -> str:
    """Where in the user's own file it was raised, the innermost line."""
    _, *theirs = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in theirs if frame.filename == theirs[0].filename]
    return f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else ""


def _as_tensor(values: Any) -> Tensor:  # noqa: ANN401
    """A tensor, array or nested list as a plain tensor on the CPU; an array's memory is shared where it can be."""
    if isinstance(values, Tensor):
        return values.detach().cpu().as_subclass(Tensor)
    if isinstance(values, list | tuple) and values and all(isinstance(each, Tensor) for each in values):
        return torch.stack([each.detach().cpu() for each in values])
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(values).__name__} of dtype {array.dtype}")
    # torch knows neither another machine's order of bytes nor a negative stride
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of memory that can't be written: nothing here writes to it
        return torch.from_numpy(array)


def _problem_of(images: Tensor, labels: Tensor) -> str:
    """What is wrong with them, if anything."""
    shape = tuple(images.shape)
    if images.dim() and not len(images):
        return "no images"
    if images.dim() not in (2, 3, 4) or not (images.dtype == torch.uint8 or images.is_floating_point()):
        return f"images {images.dtype} of shape {shape}"
    if 0 in shape:
        return f"images of shape {shape}, without a value"
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        return f"labels {labels.dtype} of shape {tuple(labels.shape)} for {len(images)} images"
    if int(labels.min()) < 0:
        return f"a label {int(labels.min())}"
    return "images that are not finite in float32" if not images.isfinite().all() else ""


_ALLOWED_DATASET = (
    "a function that returns images and labels is allowed, two tensors or arrays: images uint8 or floating point "
    "(n, height, width), (n, channels, height, width) or (n, features), labels int64 (n,) from 0"
)


def _unusable(config: OwnDatasetConfig, what: str) -> BadInputError:
    return BadInputError(f"dataset {config.name!r} {what}: {_ALLOWED_DATASET}; correct it")


def _read_shipped_mnist() -> tuple[Split, Split]:
    def read(prefix: str) -> Split:
        images = _read_idx(f"{prefix}-images-idx3-ubyte", header=16).reshape(-1, 28, 28)
        labels = _read_idx(f"{prefix}-labels-idx1-ubyte", header=8)
        return Split(torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64)))

    return read("train"), read("t10k")


def _read_idx(name: str, header: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(checked_bytes(_shipped_mnist() / f"{name}.gz"), np.uint8)[header:]


def _shipped_mnist() -> Path:
    return Path(str(files("harness") / "datasets" / "mnist"))


def _source(config: AnyDatasetConfig, data_dir: Path | None) -> Path | str:
    if isinstance(config, OwnDatasetConfig):
        return config.name
    return _shipped_mnist() if config.name == "mnist" and data_dir is None else _torchvision_root(data_dir).resolve()


def checked_bytes(path: Path) -> bytes:
    """The uncompressed content of a gzip IDX file of MNIST.

    Raises:
        BadInputError: the file is missing, not gzip, or its SHA-256 is not the known one.
    """
    expected = MNIST_SHA256[path.stem]
    try:
        content = gzip.decompress(path.read_bytes())
        actual = hashlib.sha256(content).hexdigest()
    except (OSError, EOFError, ValueError) as error:
        content, actual = b"", f"unreadable ({error})"
    if actual != expected:
        raise BadInputError(
            f"data file {path.name!r} is damaged: sha256 {actual}, allowed {expected}; install the package again"
        )
    return content


@functools.cache
def _read_torchvision(name: str, data_dir: Path | None) -> tuple[Split, Split]:
    # imported here: torchvision takes a second, and the shipped MNIST does without it
    from torchvision import datasets

    dataset = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST}[name]
    root = _torchvision_root(data_dir)
    try:
        parts = [dataset(root, train=train, download=data_dir is None) for train in (True, False)]
    except (RuntimeError, OSError) as error:
        raise BadInputError(
            f"dataset {name!r} is neither in {str(root)!r} nor downloadable ({str(error).splitlines()[0]}): "
            f"put the IDX files under {dataset.__name__}/raw in a folder and name it with --data-dir"
        ) from None
    train, test = (Split(part.data, part.targets.to(torch.int64)) for part in parts)
    return train, test


def _torchvision_root(data_dir: Path | None) -> Path:
    return data_dir or WORK_FOLDER / "datasets"


def _digest(*splits: Split) -> str:
    digest = hashlib.sha256()
    for split in splits:
        digest.update(split.images.numpy().tobytes())
        digest.update(split.labels.numpy().tobytes())
    return digest.hexdigest()
