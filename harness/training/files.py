"""Read the images of a dataset of the registry: the shipped MNIST, or a dataset of torchvision or scikit-learn."""

import functools
import gzip
import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from harness.config import DATASETS
from harness.config.registry import DatasetName, ScikitLearn
from harness.errors import BadInputError, DamagedFileError
from harness.training.from_scikit_learn import read_scikit_learn
from harness.training.from_torchvision import read_torchvision
from harness.training.images import Split

MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def read_images(name: DatasetName, data_dir: Path | None) -> tuple[Split, Split]:
    """Return the training and test images of a dataset of the registry, in file order.

    Raises:
        BadInputError: the folder does not exist, or files in it are damaged, missing or of another dataset.
        DamagedFileError: a file of the shipped MNIST is damaged.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise BadInputError(
            "data folder",
            str(data_dir),
            "does not exist",
            expected="a folder in torchvision's layout",
            next_step="correct `data_dir`, or leave it out",
        )
    if name == "mnist" and data_dir is None:
        return _read_shipped_mnist()
    if isinstance(DATASETS[name].source, ScikitLearn):
        return read_scikit_learn(name)
    return read_torchvision(name, data_dir and data_dir.resolve())


@functools.cache
def _read_shipped_mnist() -> tuple[Split, Split]:
    def read(prefix: str) -> Split:
        images = _read_idx(f"{prefix}-images-idx3-ubyte", header=16).reshape(-1, 28, 28)
        labels = _read_idx(f"{prefix}-labels-idx1-ubyte", header=8)
        return Split(torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64)))

    return read("train"), read("t10k")


def _read_idx(name: str, header: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(checked_bytes(shipped_mnist() / f"{name}.gz"), np.uint8)[header:]


def shipped_mnist() -> Path:
    """Return the folder of MNIST's files in this package."""
    return Path(str(files("harness") / "datasets" / "mnist"))


def checked_bytes(path: Path) -> bytes:
    """Return the uncompressed content of a gzip IDX file of MNIST.

    Raises:
        DamagedFileError: the file is missing, not gzip, or its SHA-256 is not the known one.
    """
    expected = MNIST_SHA256[path.stem]
    try:
        content = gzip.decompress(path.read_bytes())
        actual = hashlib.sha256(content).hexdigest()
    except (OSError, EOFError, ValueError) as error:
        content, actual = b"", f"unreadable ({error})"
    if actual != expected:
        raise DamagedFileError(
            "data file",
            path.name,
            f"is damaged, with sha256 {actual}",
            expected=f"sha256 {expected}",
            next_step="install the package again",
        )
    return content
