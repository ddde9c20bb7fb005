"""Where slices run: in this process or in spawned ones. Workers know neither Optuna nor MLflow."""

import functools
import multiprocessing
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from harness.config import DatasetConfig, RunConfig
from harness.data import Splits, load_splits
from harness.records import Divergence, EpochMetrics
from harness.state import RunState
from harness.training import EvaluationSplit, advance, initial_state

SliceResult = tuple[bytes, tuple[EpochMetrics, ...], Divergence | None]


class InlineExecutor(Executor):
    """`concurrent.futures` in this process: a submitted call is done when `submit` returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Call now; the future is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def open_executor(name: str, workers: int) -> Executor:
    """`inline`, or `local`: `workers` spawned processes."""
    if name == "inline":
        return InlineExecutor()
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def train_slice(
    config: RunConfig, state: bytes | None, splits: tuple[EvaluationSplit, ...], data_dir: Path | None
) -> SliceResult:
    """One more epoch of `config` from `state` (None: from the beginning)."""
    before = initial_state(config) if state is None else RunState.from_bytes(state)
    after = advance(config, before, _data(config.dataset, config.device, data_dir), 1, splits)
    return after.state.to_bytes(), after.metrics, after.divergence


@functools.lru_cache(maxsize=1)
def _data(dataset: DatasetConfig, device: str, data_dir: Path | None) -> Splits:
    return load_splits(dataset, device, data_dir)
