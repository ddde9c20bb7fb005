"""Keep the images and labels that a Python program passes in files, so that every process can read them."""

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
from harness.training.own_data import as_tensor

FOLDER = WORK_FOLDER / "data"
NAMES = ("images", "labels")
DIGEST_LENGTH = 32


def keep(images: Any, labels: Any) -> tuple[str, int]:  # noqa: ANN401
    """Write images and labels, each a tensor, an array or a nested list, to the current folder, once.

    Return their digest, by which `kept` reads them, and how many images there are.

    Raises:
        BadInputError: they can't be taken as tensors, or the folder can't be written.
    """
    try:
        arrays = [_array(as_tensor(each)) for each in (images, labels)]
        count = len(arrays[0])
    except Exception as error:  # an array-like's own code, too
        raise BadInputError(
            "data",
            type(images).__name__,
            f"can't be taken as a tensor ({described(error)})",
            expected="images and labels, two tensors, arrays or nested lists of numbers",
            next_step="correct them",
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
    """Read the images and labels of that digest, mapped into memory: a dataset function, as a config names it.

    Raises:
        BadInputError: they are not in the current folder.
    """
    folder = FOLDER / digest
    if not folder.is_dir():
        raise BadInputError(
            "dataset.digest",
            digest,
            f"is not in {str(FOLDER.resolve())!r}",
            expected="data that a program passed in this folder",
            next_step="run in the folder in which the data was passed, or pass it again",
        )
    images, labels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in NAMES)
    return images, labels


def _array(tensor: Tensor) -> NDArray[Any]:
    """Return the values of a tensor; of types that numpy lacks in float32, in which they are trained."""
    values: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()
    return values


def _write(arrays: list[NDArray[Any]], folder: Path) -> None:
    """Write the arrays into a folder that is there with all of them or not at all."""
    parent = writable_folder(folder.parent, "run in another folder")
    begun = Path(tempfile.mkdtemp(dir=parent))
    try:
        for name, array in zip(NAMES, arrays, strict=True):
            np.save(begun / f"{name}.npy", array)
        begun.rename(folder)
    except OSError:
        shutil.rmtree(begun)
        if not folder.is_dir():  # or another process has just written the same
            raise
