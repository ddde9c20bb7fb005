"""Our own run. Variant: `float32`, bit by bit the chapter's, or `fast`: channels_last and bfloat16."""

from pathlib import Path

from experiments import catalog
from harness.config import with_settings
from harness.data import load_splits
from harness.training import advance, initial_state
from tests.contenders import THREADS, Timed

SETTINGS = {"float32": {}, "fast": {"precision": "bfloat16", "memory_format": "channels_last"}}


def run(folder: Path, epochs: int, variant: str) -> list[Timed]:
    settings = {"device": "cpu", "threads": THREADS, "epochs": epochs, **SETTINGS[variant]}
    config = with_settings(catalog.load_run("chapter"), settings)
    splits = load_splits(config.dataset, config.device, folder)
    metrics = advance(config, initial_state(config), splits, epochs, ["test"]).metrics
    return [Timed(epoch.train_seconds + epoch.evaluate_seconds, epoch.test_accuracy) for epoch in metrics]
