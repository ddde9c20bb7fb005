"""A sweep that takes seconds."""

from dataclasses import replace

import pytest

from harness.config import RunConfig
from harness.data import Split, load_splits
from harness.run import load_cached_splits
from studies.definition import SweepDefinition
from studies.space import Range


@pytest.fixture
def definition(config: RunConfig) -> SweepDefinition:
    return SweepDefinition(
        base=config,
        optimizers=("sgd", "adam"),
        space={"model.dropout.0": Range(low=0, high=0.5)},
        spaces={name: {"optimizer.lr": Range(low=1e-4, high=1e-1, log=True, start=1e-2)} for name in ("sgd", "adam")},
        budget=6,
        trial_epochs=2,
        final_seeds=(1, 2),
        final_epochs=1,
        subset=True,
    )


@pytest.fixture
def short_test_set(monkeypatch):
    """The first 500 test images, for the sweeps of this process."""

    def load(*arguments):
        splits = load_splits(*arguments)
        return replace(splits, test=Split(splits.test.images[:500], splits.test.labels[:500]))

    monkeypatch.setattr("harness.run.load_splits", load)
    load_cached_splits.cache_clear()
    yield
    load_cached_splits.cache_clear()
