"""Provide a sweep that takes seconds."""

from pathlib import Path

import pytest

from harness.config import RunConfig, with_settings
from studies.definition import SweepDefinition
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool
from studies.space import Range


@pytest.fixture
def definition(config: RunConfig) -> SweepDefinition:
    return SweepDefinition(
        base=with_settings(config, {"dataset.train_size": 256, "dataset.validation_size": 80}),
        optimizers=("sgd", "adam"),
        space={"model.dropout": Range(low=0, high=0.5)},
        spaces={name: {"optimizer.lr": Range(low=1e-4, high=1e-1, log=True, start=1e-2)} for name in ("sgd", "adam")},
        budget=6,
        trial_epochs=2,
        final_seeds=(1, 2),
        final_epochs=1,
        subset=True,
    )


@pytest.fixture
def inline(data: Path) -> WorkerPool:
    """Return a pool that executes slices in this process, on a small MNIST."""
    return WorkerPool(InlineExecutor(), 1, data)
