"""The shipped MNIST, or the beginning of it, as the uncompressed files that torchvision reads."""

import gzip
from importlib.resources import files
from pathlib import Path

HEADER = {"images": 16, "labels": 8}
BYTES = {"images": 28 * 28, "labels": 1}


def write_mnist(folder: Path, train: int = 60_000, test: int = 10_000, name: str = "MNIST") -> Path:
    """Write the first images and labels of each part under `folder`/`name`/raw; return `folder`."""
    raw = folder / name / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", train), ("t10k", test)):
        for kind, dimensions in (("images", 3), ("labels", 1)):
            file = f"{part}-{kind}-idx{dimensions}-ubyte"
            packed = files("harness") / "datasets" / "mnist" / f"{file}.gz"
            with packed.open("rb") as compressed, gzip.open(compressed) as content:
                header = content.read(HEADER[kind])
                (raw / file).write_bytes(
                    header[:4] + count.to_bytes(4, "big") + header[8:] + content.read(count * BYTES[kind])
                )
    return folder


def write_small_mnist(folder: Path) -> Path:
    """Write an MNIST of 640 images for training, 320 for validation and 320 for testing."""
    return write_mnist(folder, train=960, test=320)
