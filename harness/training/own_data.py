"""Call a user's own dataset function, check its images and labels, and convert them to tensors without a copy."""

import contextlib
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.config import OwnDatasetConfig
from harness.config.imports import find
from harness.errors import BadInputError, described
from harness.training.images import Split, divided
from harness.training.mistakes import LARGEST_MATRIX
from harness.training.rows import chunks


def own_parts(config: OwnDatasetConfig) -> tuple[Split, Split]:
    """Return the training and the test part of a user's own images; the test part is stratified.

    Raises:
        BadInputError: the function fails, returns something else than images and labels, or returns too few.
    """
    images, labels = _own_tensors(config)
    problem = problem_of(images, labels)
    if problem:
        raise _unusable(config, f"has {problem}")
    _require_numbered(config, labels)
    least = 3 if config.validation_size else 2  # one image to train, one to test, and one to validate
    if len(labels) < least:
        raise BadInputError(
            "dataset",
            config.name,
            f"has {len(labels)} images",
            expected=f"{least} or more",
            next_step="correct the function, or the data that it reads",
        )
    most = len(labels) - least + 1
    if config.test_size > most:
        raise BadInputError(
            "dataset.test_size",
            config.test_size,
            expected=f"1 to {most}, the images of {config.name!r} without one to train on"
            f"{' and one to validate' if config.validation_size else ''}",
            next_step="choose a smaller size",
        )
    return divided(Split(images, labels), config.test_size, config.split_seed)


def _require_numbered(config: OwnDatasetConfig, labels: Tensor) -> None:
    """Refuse labels that are ids rather than numbers of classes: each class costs weights and a row of each output.

    A few images of a dataset with many classes are not refused.

    Raises:
        BadInputError: a label is larger than `LARGEST_MATRIX` and than the number of images.
    """
    largest = int(labels.max())
    if largest >= max(LARGEST_MATRIX, len(labels)):
        raise BadInputError(
            "dataset",
            config.name,
            f"has a label {largest} and {len(labels)} images",
            expected="labels that number the classes from 0",
            next_step="number the classes without gaps, as numpy.unique(labels, return_inverse=True)[1] does",
        )


def _own_tensors(config: OwnDatasetConfig) -> tuple[Tensor, Tensor]:
    """Return the images and labels of the user's function on the CPU; whole-number labels become int64."""
    make = find(config.name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the command's result
            found = make(**config.arguments)
    except (Exception, SystemExit) as error:  # the user's code may raise any error
        raise BadInputError(
            "dataset",
            config.name,
            f"raised {described(error)}{_line_of(error)}",
            expected="images and labels",
            next_step="correct the function, its arguments, or the data that it reads",
        ) from None
    if not (isinstance(found, tuple | list) and len(found) == 2):
        length = f" of {len(found)}" if isinstance(found, tuple | list) else ""
        raise _unusable(config, f"returns {type(found).__name__}{length}")
    try:
        images, labels = map(as_tensor, found)
    except Exception as error:  # the code of an array-like object may raise any error
        raise _unusable(config, f"returns data that can't be converted to a tensor ({described(error)})") from None
    return images, _whole(config, labels)


def _whole(config: OwnDatasetConfig, labels: Tensor) -> Tensor:
    """Return labels of whole numbers as int64, and others as they are.

    Raises:
        BadInputError: a label is too large for int64.
    """
    if labels.is_floating_point() or labels.is_complex():
        return labels
    whole = labels.to(torch.int64)
    if labels.dtype == torch.uint64 and bool((whole < 0).any()):  # the conversion wraps
        raise _unusable(config, f"has a label {int(whole[whole < 0].max()) + 2**64}")
    return whole


def _line_of(error: BaseException) -> str:
    """Return in words the innermost line of the user's own file at which the error was raised; empty if unknown."""
    _, *theirs = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in theirs if frame.filename == theirs[0].filename]
    return f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else ""


def as_tensor(values: Any) -> Tensor:  # noqa: ANN401
    """Return a tensor, array or nested list as a plain tensor on the CPU, which shares an array's memory if it can.

    Raises:
        TypeError: the values are not numbers.
    """
    if isinstance(values, Tensor):
        return values.detach().cpu().as_subclass(Tensor)
    if isinstance(values, list | tuple) and values and all(isinstance(each, Tensor) for each in values):
        return torch.stack([each.detach().cpu() for each in values])
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(values).__name__} of dtype {array.dtype}")
    # torch supports neither a foreign byte order nor negative strides
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns of read-only memory, which is never written here
        return torch.from_numpy(array)


def problem_of(images: Tensor, labels: Tensor) -> str:
    """Return what is wrong with images and labels; empty if nothing is wrong."""
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
    if len(labels) > 1 and int(labels.min()) == int(labels.max()):  # every model would be right, whatever it learns
        return f"the label {int(labels.min())} alone"
    return "" if _are_finite(images) else "images that are not finite in float32"


def _are_finite(images: Tensor) -> bool:
    return images.dtype == torch.uint8 or all(bool(chunk.float().isfinite().all()) for chunk in chunks(images))


IMAGES_AND_LABELS = (
    "images and labels as two tensors or arrays: images uint8 or floating point "
    "(n, height, width), (n, channels, height, width) or (n, features), labels int64 (n,) from 0, "
    "of two classes or more"
)


def _unusable(config: OwnDatasetConfig, what: str) -> BadInputError:
    return BadInputError(
        "dataset",
        config.name,
        what,
        expected=f"a function that returns {IMAGES_AND_LABELS}",
        next_step="correct the function",
    )
