"""Each dataset of the registry is read as its makers wrote it, is what the registry says, and trains what ships."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torchvision import datasets, transforms

from harness.config import DATASETS, DatasetConfig, RunConfig, with_settings
from harness.config.registry import DatasetName, ScikitLearn, Torchvision
from harness.errors import BadInputError
from harness.training.data import load_splits
from harness.training.from_torchvision import read_torchvision
from harness.training.images import normalize
from harness.training.loop import initial_state
from harness.training.networks import new_model
from tests.dataset_files import drawn, write
from tests.metrics import in_slices
from tests.training import train_epochs

OF_TORCHVISION = [name for name, known in DATASETS.items() if isinstance(known.source, Torchvision)]
OF_SCIKIT_LEARN = [name for name, known in DATASETS.items() if isinstance(known.source, ScikitLearn)]
FEW = {"dataset.train_size": 40, "dataset.validation_size": 20, "threads": 1, "epochs": 1, "batch_size": 16}


def run_on(name: str, **settings) -> RunConfig:
    model = {"model.name": "mlp"} if DATASETS[name].is_table else {}
    said = {key.replace("__", "."): each for key, each in settings.items()}
    return with_settings(RunConfig(), {"dataset.name": name} | model | FEW | said)


@pytest.fixture(autouse=True)
def nothing_is_read_yet():
    read_torchvision.cache_clear()
    yield
    read_torchvision.cache_clear()


def test_every_dataset_name_has_an_entry_in_the_registry():
    assert get_args(DatasetName) == tuple(DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_each_registry_entry_is_consistent(name):
    known = DATASETS[name]
    assert len(set(known.class_names)) == len(known.class_names) > 1
    assert len(known.mean) == len(known.std) == known.shape[0]
    assert min(known.std) > 0
    assert 0 < known.validation_size < known.training_images
    assert list(known.targets) == sorted(known.targets)
    assert (known.figure is None) == (known.is_table or known.shape[0] == 3)
    config = DatasetConfig(name=name)
    assert (config.train_size, config.validation_size) == (known.train_size, known.validation_size)


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_files_in_torchvisions_formats_are_read_as_the_images_and_labels_written(name, tmp_path, monkeypatch):
    written = write(name, tmp_path, monkeypatch)
    for split, part in zip(read_torchvision(name, tmp_path), ("train", "test"), strict=True):
        images, labels = written[part]
        assert np.array_equal(split.images.numpy().reshape(images.shape), images)
        assert split.labels.tolist() == labels.tolist()
    splits = load_splits(run_on(name).dataset, "cpu", tmp_path)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [40, 20, len(written["test"][1])]


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_a_missing_dataset_is_refused_with_the_files_that_the_folder_needs(name, tmp_path):
    with pytest.raises(BadInputError) as caught:
        load_splits(run_on(name).dataset, "cpu", tmp_path)
    message = str(caught.value)
    assert DATASETS[name].source.files in message
    assert "leave `data_dir` out so that torchvision downloads them" in message
    assert "\n" not in message


def test_files_of_another_dataset_are_refused(tmp_path, monkeypatch):
    write("kmnist", tmp_path, monkeypatch, drawn("usps"))
    with pytest.raises(
        BadInputError, match=r"has images torch.uint8 of shape \(1, 16, 16\), expected uint8 of \(1, 28"
    ):
        read_torchvision("kmnist", tmp_path)


def test_labels_of_more_classes_than_there_are_names_are_refused(tmp_path, monkeypatch):
    images, labels = drawn("kmnist")["train"]
    write("kmnist", tmp_path, monkeypatch, {"train": (images, labels + 1), "test": (images, labels)})
    with pytest.raises(BadInputError, match="it has labels 1 to 10"):
        read_torchvision("kmnist", tmp_path)


def test_images_in_colour_are_normalised_as_torchvision_does_it_bit_by_bit(tmp_path, monkeypatch):
    write("cifar10", tmp_path, monkeypatch)
    known = DATASETS["cifar10"]
    split, _ = read_torchvision("cifar10", tmp_path)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(known.mean, known.std)])
    theirs = datasets.CIFAR10(tmp_path, transform=transform)
    stacked = torch.stack([image for image, _ in theirs])
    assert torch.equal(normalize(split.images, DatasetConfig(name="cifar10")), stacked)


@pytest.mark.parametrize("name", OF_SCIKIT_LEARN)
def test_scikit_learn_datasets_are_normalised_by_their_training_images(name):
    known = DATASETS[name]
    config = DatasetConfig(name=name, train_size=known.training_images, validation_size=0)
    x = normalize(load_splits(config, "cpu").train.images[:], config).double()
    axes = (0,) if known.is_table else (0, 2, 3)
    assert x.mean(dim=axes).abs().max() < 2e-3
    assert (x.std(dim=axes, correction=0) - 1).abs().max() < 2e-3


@pytest.mark.parametrize("name", OF_SCIKIT_LEARN)
def test_the_test_part_is_the_same_in_every_split_and_has_the_classes_in_proportion(name):
    known = DATASETS[name]
    one, other = (load_splits(DatasetConfig(name=name, split_seed=seed), "cpu") for seed in (0, 1))
    assert torch.equal(one.test.images[:], other.test.images[:])
    assert not torch.equal(one.train.images[:], other.train.images[:])
    parts = (one.train, one.validation, one.test)
    assert list(map(len, parts)) == [known.train_size, known.validation_size, known.test_images]
    shares = [split.labels.bincount() / len(split) for split in parts]
    assert all((each - shares[0]).abs().max() < 0.03 for each in shares)


def test_digits_are_pixels_and_tables_are_rows_of_features():
    digits, wine, cancer = (load_splits(DatasetConfig(name=name), "cpu") for name in OF_SCIKIT_LEARN)
    assert (digits.train.images[:].dtype, tuple(digits.train.images[:].shape)) == (torch.uint8, (1_000, 8, 8))
    assert (int(digits.train.images[:].min()), int(digits.train.images[:].max())) == (0, 255)
    assert (wine.train.images[:].dtype, tuple(wine.train.images[:].shape)) == (torch.float32, (88, 13))
    assert tuple(cancer.train.images[:].shape) == (300, 30)
    assert digits.source == "sklearn.datasets:load_digits"


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("model", ["convnet", "mlp"])
def test_the_networks_are_made_for_the_images_and_classes_of_the_dataset(name, model):
    known = DATASETS[name]
    if known.is_table and model == "convnet":
        with pytest.raises(BadInputError, match=rf"takes images, and '{name}' has rows of {known.shape[0]} features"):
            run_on(name, model__name=model)
        return
    config = run_on(name, model__name=model)
    network = new_model(config)
    images = torch.zeros(2, *known.shape, dtype=torch.float32 if known.is_table else torch.uint8)
    outputs = network(normalize(images, config.dataset))
    assert outputs.shape == (2, len(known.class_names))
    assert torch.allclose(outputs.exp().sum(dim=1), torch.ones(2))


def test_a_mean_and_deviation_in_the_config_replace_those_of_the_dataset():
    grey, colour = torch.full((1, 8, 8), 51, dtype=torch.uint8), torch.full((1, 3, 32, 32), 51, dtype=torch.uint8)
    said = DatasetConfig(name="digits", mean=0.1, std=0.5)
    assert torch.allclose(normalize(grey, said), torch.full((1, 1, 8, 8), 0.2))
    of_each = DatasetConfig(name="cifar10", mean=(0.2, 0.1, 0.0), std=0.1)
    assert torch.allclose(normalize(colour, of_each)[0, :, 0, 0], torch.tensor([0.0, 1.0, 2.0]))


@pytest.mark.parametrize("name", OF_SCIKIT_LEARN)
def test_a_run_learns_and_gives_the_same_results_in_slices(name):
    config = run_on(name, optimizer__name="adam", optimizer__lr=0.01, dataset__validation_size=10, epochs=12)
    data = load_splits(config.dataset, "cpu")
    whole = train_epochs(config, initial_state(config), data, 12, ["test"])
    assert whole.metrics[-1].test_accuracy > (0.6 if name == "digits" else 0.85)
    state, _ = in_slices(config, data, 12, ["test"])
    assert state.hash() == whole.state.hash()


def test_the_guide_lists_every_dataset_as_the_registry_has_it():
    guide = (Path(__file__).parents[2] / "experiments" / "declaring.md").read_text(encoding="utf-8")
    table = guide.split("| `dataset.name` |")[1].split("\n\n")[0]
    listed = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    libraries = {Torchvision: "torchvision", ScikitLearn: "scikit-learn"}
    assert listed == [
        [
            f"`{name}`",
            "×".join(map(str, known.shape)),
            str(len(known.class_names)),
            f"{known.training_images:,}",
            f"{known.test_images:,}",
            "this package" if name == "mnist" else libraries[type(known.source)],
        ]
        for name, known in DATASETS.items()
    ]
