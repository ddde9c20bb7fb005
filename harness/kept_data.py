"""Save images and labels that a Python program passes to `run` or `sweep`, so that every process can read them."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.errors import BadInputError, described
from harness.paths import WORK_FOLDER, writable_folder
from harness.training.own_data import IMAGES_AND_LABELS, as_tensor, problem_of

FOLDER = WORK_FOLDER / "data"
NAMES = ("images", "labels")
DIGEST_LENGTH = 32


def keep(images: Any, labels: Any) -> tuple[str, int]:  # noqa: ANN401
    """Write images and labels, each a tensor, array or nested list, to the current folder, unless they are there.

    Return their digest, with which `kept` reads them, and the number of images.

    Raises:
        BadInputError: images or labels can't be converted to tensors, or the folder can't be written.
    """
    try:
        arrays = [_array(as_tensor(each)) for each in (images, labels)]
        count = len(arrays[0])
    except Exception as error:  # the code of an array-like object may raise any error
        raise BadInputError(
            "data",
            type(images).__name__,
            f"can't be converted to a tensor ({described(error)})",
            expected="images and labels as two tensors, arrays or nested lists of numbers",
            next_step="correct the data",
        ) from None
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    name = digest.hexdigest()[:DIGEST_LENGTH]
    if not (FOLDER / name).is_dir():
        _write(arrays, FOLDER / name)
    return name, count


def kept(digest: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the images and labels with this digest, mapped into memory. A config names this dataset function.

    Raises:
        BadInputError: the current folder does not have them.
    """
    folder = FOLDER / digest
    if not folder.is_dir():
        raise BadInputError(
            "dataset.digest",
            digest,
            f"is not in {str(FOLDER.resolve())!r}",
            expected="data that a program in this folder has passed",
            next_step="run in the folder in which the data was passed, or pass it again",
        )
    images, labels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in NAMES)
    return images, labels


def require_usable(digest: str) -> None:
    """Check that a run can train on the images and labels with this digest.

    Raises:
        BadInputError: it can't.
    """
    images, labels = map(as_tensor, kept(digest))
    problem = problem_of(images, labels if labels.is_floating_point() else labels.to(torch.int64))
    if problem:
        raise BadInputError(
            "data", problem=f"has {problem}", expected=IMAGES_AND_LABELS, next_step="correct the data"
        )


def _array(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor as an array; a type that numpy lacks, such as bfloat16, becomes float32, as for training."""
    values: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()
    return values


def _write(arrays: list[NDArray[Any]], folder: Path) -> None:
    """Write the arrays into a folder that appears at once with all of them, even if several processes write it."""
    parent = writable_folder(folder.parent, "run in another folder")
    begun = Path(tempfile.mkdtemp(dir=parent))
    try:
        for name, array in zip(NAMES, arrays, strict=True):
            np.save(begun / f"{name}.npy", array)
        begun.rename(folder)
    except OSError:
        shutil.rmtree(begun)
        if not folder.is_dir():  # else another process has just written the same arrays
            raise
