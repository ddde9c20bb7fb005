"""A dataset that memory has no second room for is split, hashed and trained on where it lies, to the same numbers."""

import hashlib

import numpy as np
import pytest
import torch

from harness.config import RunConfig, with_settings
from harness.errors import BadInputError
from harness.training import rows
from harness.training.data import load_splits
from harness.training.images import stratified_order
from harness.training.rows import Rows, chunks, rows_of
from tests.own import shapes
from tests.started import run_anew

DATASET = with_settings(
    RunConfig(),
    {
        "dataset.name": "tests.own.shapes:grey_bars",
        "dataset.train_size": 240,
        "dataset.validation_size": 80,
        "dataset.test_size": 80,
    },
).dataset

LAYOUTS = {
    "contiguous": lambda images: images,
    "channels last": lambda images: images.to(memory_format=torch.channels_last),
    "one channel": lambda images: images[:, :1],
    "transposed": lambda images: images.transpose(2, 3),
    "every second row": lambda images: images[:, :, ::2],
    "expanded": lambda images: images[:, :1].expand(-1, 3, -1, -1),
    "images last": lambda images: images.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
    "features": lambda images: images.flatten(1),
    "features of columns": lambda images: images.flatten(1).T.contiguous().T,
    "float64": lambda images: images.double() + 1e-12,
    "float16": lambda images: images.half(),
    "uint8": lambda images: (images * 200).to(torch.uint8),
}


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS)
def images(request) -> torch.Tensor:
    return request.param(shapes.bars()[0])


def copied(images: torch.Tensor, *indices: torch.Tensor) -> torch.Tensor:
    """The rows of rows as they were taken when each part was copied."""
    images = images.float() if images.is_floating_point() else images
    for index in indices:
        images = images[index]
    return images


def test_a_batch_has_the_same_values_and_layout_as_a_batch_of_a_copy(images):
    outer, inner = torch.randperm(400)[:300].sort().values, torch.randperm(300)[:100].sort().values
    ours, theirs = rows_of(rows_of(images, outer), inner), copied(images, outer, inner)
    assert (len(ours), ours.device.type) == (100, "cpu")
    for which in (torch.tensor([7, 3, 3]), torch.tensor([5]), slice(10, 19), slice(99, 200), [0, -1], 5):
        assert torch.equal(ours[which], theirs[which])
        assert (ours[which].dtype, ours[which].stride()) == (theirs[which].dtype, theirs[which].stride())


@pytest.mark.parametrize("size", [1, 5_000, 2**24])
def test_the_digest_does_not_depend_on_memory_layout_or_chunk_size(images, size, monkeypatch):
    labels = shapes.bars()[1]
    monkeypatch.setattr(shapes, "grey_bars", lambda: (images, labels))
    monkeypatch.setattr(rows, "CHUNK", size)
    order = stratified_order(labels, DATASET.split_seed)
    expected = hashlib.sha256()
    for part in (order[80:].sort().values, order[:80].sort().values):
        expected.update(copied(images, part).numpy().tobytes() + labels[part].numpy().tobytes())
    assert load_splits(DATASET, "cpu").digest == expected.hexdigest()


@pytest.mark.parametrize("kind", [torch.Tensor, np.ndarray])
def test_the_parts_of_a_dataset_share_the_memory_of_the_users_array(kind, monkeypatch):
    images, labels = shapes.bars()
    returned = images if kind is torch.Tensor else images.numpy()
    monkeypatch.setattr(shapes, "grey_bars", lambda: (returned, labels))
    splits = load_splits(DATASET, "cpu")
    parts = [part.images for part in (splits.train, splits.validation, splits.test)]
    assert all(isinstance(part, Rows) for part in parts)
    assert {part.stored.data_ptr() for part in parts} == {images.data_ptr()}
    assert sorted(torch.cat([part.index for part in parts]).tolist()) == list(range(400))


def test_a_chunk_is_within_the_size_limit_unless_one_image_is_larger(monkeypatch):
    images = torch.arange(10 * 6).view(10, 6).to(torch.uint8)
    for size, lengths in ((1, [1] * 10), (20, [3, 3, 3, 1]), (60, [10])):
        monkeypatch.setattr(rows, "CHUNK", size)
        for each in (images, rows_of(images, torch.arange(10))):
            found = list(chunks(each))
            assert [len(chunk) for chunk in found] == lengths
            assert torch.equal(torch.cat(found), images)
    assert list(chunks(images[:0])) == []


def test_a_single_non_finite_value_is_found_in_any_chunk(monkeypatch):
    images, labels = shapes.bars()
    images[399, 1, 11, 11] = float("nan")
    monkeypatch.setattr(shapes, "grey_bars", lambda: (images, labels))
    monkeypatch.setattr(rows, "CHUNK", 100_000)
    with pytest.raises(BadInputError, match="images that are not finite in float32"):
        load_splits(DATASET, "cpu")


SIZE = 2**31  # bytes of the images, and of memory that the run may have beside the file's
PHOTOS = f"""
import torch
from torch import nn

from harness.config import RunConfig, with_settings


def photos():
    images = torch.from_file("photos", shared=True, size={SIZE}, dtype=torch.uint8).view(-1, 1024, 1024)
    return images, torch.arange(len(images)) % 2


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16, 2), nn.LogSoftmax(1))


settings = {{"train_size": 24, "validation_size": 8, "test_size": 8, "name": "my_run:photos"}}
sizes = {{"batch_size": 8, "evaluation_batch_size": 8, "epochs": 1, "threads": 1}}
dataset = {{f"dataset.{{key}}": each for key, each in settings.items()}}
run = with_settings(RunConfig(), dataset | sizes | {{"model.name": "my_run:Net"}})
"""


@pytest.mark.slow
@pytest.mark.posix
def test_a_run_on_a_large_file_does_not_copy_it_into_memory(project, monkeypatch):
    (project / "my_run.py").write_text(PHOTOS)
    with (project / "photos").open("wb") as file:
        file.truncate(SIZE)  # zeros that take no room on the disk
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # each thread's stack counts as memory, and machines have many cores
    ended = run_anew("run", "my_run.py", memory=SIZE)
    assert ended.returncode == 0, ended.stderr
    assert "completed: run" in ended.stdout
