"""Read a dataset that torchvision reads from a folder, or downloads into it."""

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.config import DATASETS
from harness.config.registry import Dataset, DatasetName, Torchvision
from harness.errors import BadInputError, described
from harness.paths import WORK_FOLDER
from harness.training.images import Split


@functools.cache
def read_torchvision(name: DatasetName, data_dir: Path | None) -> tuple[Split, Split]:
    """Return the training and test images, in file order: uint8 (n, height, width) or (n, channels, height, width).

    Raises:
        BadInputError: the files are missing, can't be downloaded or read, or belong to another dataset.
    """
    # imported here, because torchvision takes a second and the shipped MNIST does not need it
    from torchvision import datasets

    known = DATASETS[name]
    source = known.source
    assert isinstance(source, Torchvision), "of another library"
    root = torchvision_root(data_dir)
    try:
        read = functools.partial(getattr(datasets, source.name), root, download=data_dir is None)
        parts = [_split(read(**arguments), known, source) for arguments in (source.train, source.test)]
    except Exception as error:  # torchvision's readers raise errors of many kinds
        why = described(error)
        raise BadInputError(
            "dataset",
            name,
            f"can't be downloaded into {str(root)!r} ({why})"
            if data_dir is None
            else f"can't be read in {str(root)!r} ({why})",
            expected=f"{source.files} in a folder",
            next_step="put the files into a folder and set `data_dir` to it"
            if data_dir is None
            else "put the files there, or leave `data_dir` out so that torchvision downloads them",
        ) from None
    train, test = parts
    return train, test


def torchvision_root(data_dir: Path | None) -> Path:
    """Return the folder from which torchvision reads a dataset, or into which it downloads the dataset."""
    return data_dir or WORK_FOLDER / "datasets"


def _split(part: Any, known: Dataset, source: Torchvision) -> Split:  # noqa: ANN401
    """Return the images and labels of a torchvision dataset, in our order of axes and with labels from 0.

    Raises:
        ValueError: the images or labels differ from the registry's description.
    """
    images = torch.as_tensor(part.data)
    labels = torch.as_tensor(part.labels if hasattr(part, "labels") else part.targets).to(torch.int64)
    labels = labels.reshape(len(labels), -1)[:, 0] - source.first_label  # QMNIST has further columns of labels
    if source.transposed:
        images = images.transpose(1, 2)
    if images.dim() == 4 and tuple(images.shape[1:]) != known.shape:
        images = images.permute(0, 3, 1, 2)  # CIFAR has its channels last
    _require_known(images, labels, known)
    return Split(images.contiguous(), labels.contiguous())


def _require_known(images: Tensor, labels: Tensor, known: Dataset) -> None:
    shape = tuple(images.shape[1:]) if images.dim() == 4 else (1, *images.shape[1:])
    if images.dtype != torch.uint8 or shape != known.shape:
        raise ValueError(f"it has images {images.dtype} of shape {shape}, expected uint8 of {known.shape}")
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(known.class_names):
        raise ValueError(f"it has labels {int(labels.min())} to {int(labels.max())}")
