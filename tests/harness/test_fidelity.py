"""A run equals the plain PyTorch loop of the chapter, loss by loss and bit by bit."""

import pytest
import torch
from torchvision import datasets, transforms

from harness.config import DatasetConfig, RunConfig
from harness.training.data import load_splits
from harness.training.images import Splits, normalize
from harness.training.loop import initial_state, train_epoch
from harness.training.networks import new_model
from harness.training.optimizers import build_optimizer
from harness.training.order import skip_evaluation_pass
from harness.training.state import capture, restore
from tests.chapter import run_chapter
from tests.mnist_folder import write_mnist
from tests.training import train_epochs

pytestmark = pytest.mark.slow

CONFIG = RunConfig(dataset=DatasetConfig(train_size=3_210, validation_size=0), threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_mnist(tmp_path_factory.mktemp("mnist"), train=3_210, test=1_000)


@pytest.fixture(scope="module")
def splits(folder) -> Splits:
    return load_splits(CONFIG.dataset, "cpu", folder)


@pytest.fixture(scope="module")
def chapter(folder):
    with torch.random.fork_rng():
        return run_chapter(folder, epochs=2, threads=1)


def test_every_batch_loss_of_two_epochs_equals_the_chapters(splits, chapter):
    state = initial_state(CONFIG)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        for epoch in chapter:
            model = new_model(CONFIG)
            optimizer = build_optimizer(CONFIG.optimizer, model.parameters())
            restore(state, CONFIG, model, optimizer)
            losses = train_epoch(model, optimizer, splits.train, CONFIG).losses
            skip_evaluation_pass()
            assert len(losses) == 101
            assert losses.tolist() == epoch.losses
            state = capture(CONFIG, state.epoch + 1, model, optimizer)
    torch.set_num_threads(threads)


def test_test_loss_and_correct_counts_equal_the_chapters(splits, chapter):
    ours = train_epochs(CONFIG, initial_state(CONFIG), splits, 2, ["test"]).metrics
    assert [each.test_accuracy * 1_000 for each in ours] == [epoch.correct for epoch in chapter]
    assert [each.test_loss for each in ours] == [epoch.test_loss for epoch in chapter]


def test_normalize_equals_torchvision_bit_by_bit(folder, splits):
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1302,), (0.3069,))])
    theirs = datasets.MNIST(folder, train=True, transform=transform)
    ours = normalize(splits.train.images[:50], CONFIG.dataset)
    assert torch.equal(ours, torch.stack([theirs[index][0] for index in range(50)]))
