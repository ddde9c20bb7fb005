"""The chapter's full two epochs, beside the loop that a person would write."""

import tempfile
from pathlib import Path

import torch

from experiments import catalog
from harness.config import with_settings
from harness.training.data import load_splits
from harness.training.loop import initial_state
from tests.chapter import run_chapter
from tests.mnist_folder import write_mnist
from tests.training import train_epochs


def main() -> None:
    """our run's test loss and counts equal the plain loop's on all 60,000 images, two epochs"""
    config = with_settings(catalog.load_run("chapter"), {"device": "cpu"})
    splits = load_splits(config.dataset, "cpu")
    ours = train_epochs(config, initial_state(config), splits, config.epochs, ["test"]).metrics
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
        plain = run_chapter(write_mnist(Path(folder)), config.epochs, config.threads)
    for epoch, (our, their) in enumerate(zip(ours, plain, strict=True), 1):
        print(
            f"epoch {epoch}: test loss {our.test_loss:.4f}, {round(our.test_accuracy * 10_000)} of 10,000; "
            f"seconds of training {our.train_seconds:.1f}, plain {their.train_seconds:.1f}"
        )
        assert round(our.test_accuracy * 10_000) == their.correct, their.correct
        assert our.test_loss == their.test_loss, their.test_loss
    low, high = zip((0.982, 0.986), (0.984, 0.988), strict=True)
    for our, least, most in zip(ours, low, high, strict=True):
        assert least <= our.test_accuracy <= most, our.test_accuracy
