"""Our own run. Variant: `float32`, bit by bit the chapter's, or `fast`: that profile; then settings."""

from pathlib import Path

from experiments import catalog
from harness.config import with_settings
from harness.training.data import load_splits
from harness.training.devices import fast_settings
from harness.training.loop import initial_state
from tests.contenders import THREADS, Timed, settings
from tests.training import train_epochs


def run(folder: Path, epochs: int, variant: str) -> list[Timed]:
    precision, *more = variant.split()
    profile = fast_settings("cpu") if precision == "fast" else {}
    said = {"device": "cpu", "threads": THREADS, "epochs": epochs, **profile, **settings(more)}
    config = with_settings(catalog.load_run("chapter"), said)
    splits = load_splits(config.dataset, config.device, folder)
    metrics = train_epochs(config, initial_state(config), splits, epochs, ["test"]).metrics
    return [Timed(epoch.train_seconds + epoch.evaluate_seconds, epoch.test_accuracy) for epoch in metrics]
