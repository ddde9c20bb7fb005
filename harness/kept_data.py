"""Keep the images and labels that a Python program passes in files, so that every process can read them."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import BadInputError
from harness.paths import WORK_FOLDER, writable_folder

FOLDER = WORK_FOLDER / "data"
NAMES = ("images", "labels")
DIGEST_LENGTH = 32


def keep(images: Any, labels: Any) -> str:  # noqa: ANN401
    """Write images and labels (tensors, arrays or nested lists, n of each) to the current folder, once.

    Return their digest, with which `kept` reads them.

    Raises:
        BadInputError: the folder can't be written.
    """
    arrays = [np.ascontiguousarray(np.asarray(each)) for each in (images, labels)]
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    name = digest.hexdigest()[:DIGEST_LENGTH]
    folder = FOLDER / name
    if not folder.is_dir():
        parent = writable_folder(FOLDER, "run in another folder")
        with tempfile.TemporaryDirectory(dir=parent) as whole:
            for each, array in zip(NAMES, arrays, strict=True):
                np.save(Path(whole) / f"{each}.npy", array)
            Path(whole).rename(folder)
            Path(whole).mkdir()  # because the end of the block removes a folder of this name
    return name


def kept(digest: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of that digest, memory-mapped. Configs name this function as their dataset.

    Raises:
        BadInputError: the current folder has no data of that digest.
    """
    folder = FOLDER / digest
    if not folder.is_dir():
        raise BadInputError(
            "dataset.digest",
            digest,
            f"is not in {str(FOLDER.resolve())!r}",
            expected="data that a program passed in this folder",
            next_step="run in the folder in which the data were passed, or pass them again",
        )
    images, labels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in NAMES)
    return images, labels
