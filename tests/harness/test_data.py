"""The data: checked, split in proportion and without overlap, in the chapter's order."""

import shutil
from importlib.resources import files

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from harness.config import DatasetConfig
from harness.errors import BadInputError, DamagedFileError
from harness.training.data import class_names, load_splits
from harness.training.files import checked_bytes
from harness.training.images import picture, stratified_order
from harness.training.order import draw_order_seed, epoch_order
from tests.mnist_folder import write_mnist


def test_full_mnist_ships_with_the_package():
    splits = load_splits(DatasetConfig(), "cpu")
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [50_000, 10_000, 10_000]
    assert splits.digest == "1e35582d42a90940c55b956deb61875c020b567ed20e3c5b174f52bf7809ed9b"


def test_all_images_keep_the_files_order():
    splits = load_splits(DatasetConfig(train_size=60_000, validation_size=0), "cpu")
    assert splits.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_split_is_disjoint_and_in_proportion():
    splits = load_splits(DatasetConfig(), "cpu")
    whole = load_splits(DatasetConfig(train_size=60_000, validation_size=0), "cpu")
    assert torch.equal(
        splits.train.labels.bincount() + splits.validation.labels.bincount(), whole.train.labels.bincount()
    )
    assert (splits.validation.labels.bincount() - whole.train.labels.bincount() / 6).abs().max() <= 1


@pytest.mark.parametrize("size", [10, 137, 2_000])
def test_every_prefix_of_the_order_is_stratified(size):
    labels = torch.arange(2_000) % 7
    order = stratified_order(labels, seed=3)
    assert sorted(order.tolist()) == list(range(2_000))
    assert (labels[order[:size]].bincount(minlength=7) - size / 7).abs().max() <= 1
    assert not torch.equal(order, stratified_order(labels, seed=4))


@pytest.mark.parametrize("damage", [b"not gzip", None])
def test_a_damaged_file_is_refused_with_its_name_and_both_digests(tmp_path, damage):
    name = "t10k-labels-idx1-ubyte.gz"
    path = tmp_path / name
    if damage is None:
        shutil.copy(str(files("harness") / "datasets" / "mnist" / "train-labels-idx1-ubyte.gz"), path)
    else:
        path.write_bytes(damage)
    with pytest.raises(DamagedFileError, match=r"t10k-labels.* sha256 .*ff7bcfd4"):
        checked_bytes(path)


def test_a_missing_dataset_is_refused_with_advice(tmp_path):
    with pytest.raises(BadInputError, match=r"FashionMNIST/raw.*`data_dir`"):
        load_splits(DatasetConfig(name="fashion-mnist"), "cpu", tmp_path)
    with pytest.raises(BadInputError, match="does not exist"):
        load_splits(DatasetConfig(), "cpu", tmp_path / "missing")


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_a_folder_in_torchvisions_layout_is_read(tmp_path, name, folder):
    config = DatasetConfig(name=name, train_size=250, validation_size=50)
    splits = load_splits(config, "cpu", write_mnist(tmp_path, train=300, test=100, name=folder))
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [250, 50, 100]
    assert torch.equal(splits.test.images, load_splits(DatasetConfig(), "cpu").test.images[:100])
    with pytest.raises(BadInputError, match="expected at most 300"):
        load_splits(DatasetConfig(name=name), "cpu", tmp_path)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=400),
    st.floats(0, 1),
    st.integers(0, 2**63 - 1),
)
def test_any_split_of_any_labels_is_disjoint_stratified_and_repeatable(labels, part, seed):
    labels = torch.tensor(labels)
    order = stratified_order(labels, seed)
    cut = round(part * len(labels))
    assert sorted(order.tolist()) == list(range(len(labels)))
    assert torch.equal(order, stratified_order(labels, seed))
    counts, expected = labels[order[:cut]].bincount(minlength=10), labels.bincount(minlength=10) * cut / len(labels)
    assert (counts - expected).abs().max() <= len(labels.unique()) / 2 + 1


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 64), st.integers(0, 2**63 - 1))
def test_the_batches_of_two_epochs_are_those_of_a_shuffling_dataloader(size, batch_size, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        loader = DataLoader(range(size), batch_size=batch_size, shuffle=True)
        theirs = [batch.tolist() for _ in range(2) for batch in loader]
        generator = torch.get_rng_state()
        torch.manual_seed(seed)
        ours = [batch.tolist() for _ in range(2) for batch in epoch_order(size, draw_order_seed()).split(batch_size)]
        assert ours == theirs
        assert torch.equal(torch.get_rng_state(), generator)


def test_mnist_images_are_shown_unchanged_and_other_values_are_scaled_to_grey():
    mnist = torch.arange(28 * 28).reshape(28, 28).to(torch.uint8)
    assert torch.equal(picture(mnist), mnist)
    halves = torch.tensor([[[-1.0, 3.0]], [[0.0, 4.0]]])  # two channels of 1 × 2
    shown = picture(halves)
    assert (shown.shape, shown.dtype) == ((28, 28), torch.uint8)
    assert torch.equal(shown.unique(), torch.tensor([0, 255], dtype=torch.uint8))
    assert torch.equal(shown[:, :14], torch.zeros(28, 14, dtype=torch.uint8))
    assert picture(torch.full((5, 5), 0.5)).sum() == 0


def test_grey_and_colour_pixels_are_shown_unchanged_and_large_images_are_reduced():
    small = torch.arange(64).reshape(8, 8).to(torch.uint8)
    assert torch.equal(picture(small), small)
    assert torch.equal(picture(small[None]), small)
    colour = torch.arange(3 * 6 * 4).reshape(3, 6, 4).to(torch.uint8)
    assert torch.equal(picture(colour), colour.permute(1, 2, 0))
    large = torch.zeros(3, 128, 64, dtype=torch.uint8)
    large[0, :, 32:] = 200
    shown = picture(large)
    assert (shown.shape, shown.dtype) == ((32, 16, 3), torch.uint8)
    assert shown[:, 8:, 0].unique().tolist() == [200]
    assert shown[..., 1:].sum() == shown[:, :8].sum() == 0


@pytest.mark.parametrize(
    ("classes", "ends"), [(10, ["0", "9"]), (12, ["0", "11"]), (3, ["0", "2"])], ids=["as many", "more", "fewer"]
)
def test_there_are_as_many_names_as_outputs(classes, ends):
    names = class_names(DatasetConfig(), classes)
    assert len(names) == len(set(names)) == classes
    assert [names[0], names[-1]] == ends
    assert class_names(DatasetConfig(name="fashion-mnist"), 11)[-2:] == ("Ankle boot", "10")
