"""Small files of each dataset that torchvision reads, in the format of its own that its makers chose."""

import bz2
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torchvision
from scipy.io import savemat

from harness.config import DATASETS
from harness.config.registry import Torchvision

IMAGES = {"train": 60, "test": 40}
Parts = dict[str, tuple[np.ndarray, np.ndarray]]


def drawn(name: str) -> Parts:
    """Images (n, channels, height, width) and labels of both parts as a run has them, every class among them."""
    known, found = DATASETS[name], {}
    for part, count in IMAGES.items():
        rng = np.random.default_rng(len(part))
        classes = len(known.class_names)
        size = max(count, classes)
        images = rng.integers(0, 256, (size, *known.shape), dtype=np.uint8)
        found[part] = images, np.arange(size) % classes
    return found


def write(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, parts: Parts | None = None) -> Parts:
    """Write a dataset's files into a folder, of these images and labels or drawn ones; return what is in them.

    torchvision compares those of SVHN and CIFAR with checksums, which are these files' until the test ends: all of
    its own code runs.
    """
    known, parts = DATASETS[name], drawn(name) if parts is None else parts
    assert isinstance(known.source, Torchvision)
    written = known.source.name
    if written == "USPS":
        _write_usps(parts, folder)
    elif written == "SVHN":
        _write_svhn(parts, folder, monkeypatch)
    elif written.startswith("CIFAR"):
        _write_cifar(written, known.class_names, parts, folder, monkeypatch)
    else:
        _write_idx_files(name, known.source, parts, folder)
    return parts


def _write_idx_files(name: str, source: Torchvision, parts: Parts, folder: Path) -> None:
    raw = folder / source.name / "raw"
    raw.mkdir(parents=True)
    for part, (images, labels) in parts.items():
        pixels = images[:, 0].swapaxes(1, 2) if source.transposed else images[:, 0]
        targets = (labels + source.first_label).astype(np.uint8)
        kind = "labels-idx1-ubyte"
        if source.name == "QMNIST":  # eight numbers of each image, of which the class is the first
            targets = np.stack([labels, *[np.full_like(labels, 7)] * 7], axis=1).astype(">i4")
            kind = "labels-idx2-int"
        first = {"QMNIST": f"qmnist-{part}", "EMNIST": f"{name}-{part}"}.get(source.name)
        first = first or {"train": "train", "test": "t10k"}[part]
        write_idx(raw / f"{first}-images-idx3-ubyte", pixels)
        write_idx(raw / f"{first}-{kind}", targets)


def write_idx(path: Path, values: np.ndarray) -> None:
    """Write whole numbers as an IDX file, whose header is two zeros, the type, and the number and sizes of axes."""
    kind = {"u": 8, "i": 12}[values.dtype.kind]
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(bytes([0, 0, kind, values.ndim]) + sizes + values.tobytes())


def _write_usps(parts: Parts, folder: Path) -> None:
    """LIBSVM's text: a label from 1, and each pixel from -1 to 1 after its number."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, file in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        lines = []
        for image, label in zip(*parts[part], strict=True):
            # the middle of what torchvision cuts down to a whole number
            values = (np.minimum(image.flatten() + 0.5, 255) / 255 * 2 - 1).tolist()
            lines.append(" ".join([str(label + 1), *(f"{place}:{each:.6f}" for place, each in enumerate(values, 1))]))
        (folder / file).write_bytes(bz2.compress("\n".join(lines).encode()))


def _write_svhn(parts: Parts, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matlab's files: images (height, width, channels, n), and 10 for the digit 0."""
    folder.mkdir(parents=True, exist_ok=True)
    checksums = {}
    for part, (images, labels) in parts.items():
        file = f"{part}_32x32.mat"
        savemat(folder / file, {"X": images.transpose(2, 3, 1, 0), "y": np.where(labels == 0, 10, labels)[:, None]})
        checksums[part] = ["", file, _md5(folder / file)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", checksums)


def _write_cifar(
    name: str, class_names: tuple[str, ...], parts: Parts, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pickled batches: rows of all red pixels, then the green ones, then the blue."""
    of_torchvision = getattr(torchvision.datasets, name)
    labels_key = "labels" if name == "CIFAR10" else "fine_labels"
    batches = folder / of_torchvision.base_folder
    batches.mkdir(parents=True)

    def write_pickle(file: str, content: object) -> str:
        (batches / file).write_bytes(pickle.dumps(content))
        return _md5(batches / file)

    for part, listed in (("train", "train_list"), ("test", "test_list")):
        files = [file for file, _ in getattr(of_torchvision, listed)]
        images, labels = (np.array_split(each, len(files)) for each in parts[part])
        written = [
            [file, write_pickle(file, {"data": pixels.reshape(len(pixels), -1), labels_key: targets.tolist()})]
            for file, pixels, targets in zip(files, images, labels, strict=True)
        ]
        monkeypatch.setattr(of_torchvision, listed, written)
    meta = of_torchvision.meta
    checksum = write_pickle(meta["filename"], {meta["key"]: list(class_names)})
    monkeypatch.setattr(of_torchvision, "meta", {**meta, "md5": checksum})


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
