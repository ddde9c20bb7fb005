"""Our own run. Variant: `float32`, bit by bit the chapter's, or `fast`: that profile."""

from pathlib import Path

from experiments import catalog
from harness.config import with_settings
from harness.data import load_splits
from harness.reproducibility import fast_settings
from harness.training import advance, initial_state
from tests.contenders import THREADS, Timed


def run(folder: Path, epochs: int, variant: str) -> list[Timed]:
    profile = fast_settings("cpu") if variant == "fast" else {}
    settings = {"device": "cpu", "threads": THREADS, "epochs": epochs, **profile}
    config = with_settings(catalog.load_run("chapter"), settings)
    splits = load_splits(config.dataset, config.device, folder)
    metrics = advance(config, initial_state(config), splits, epochs, ["test"]).metrics
    return [Timed(epoch.train_seconds + epoch.evaluate_seconds, epoch.test_accuracy) for epoch in metrics]
