"""What the coordinator costs per slice, in memory and to resume, as a sweep grows to 10,000 trials."""

import contextlib
import functools
import hashlib
import math
import multiprocessing
import tempfile
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import psutil
import torch

from experiments import catalog
from harness.config import canonical_json, images_at, measured_steps, steps_per_epoch, with_settings
from harness.records import DEFINITION_ARTIFACT, EpochMetrics, TrajectoryPoint
from harness.slices import SliceResult
from harness.training.state import EpochBegun, RunState
from harness.training.trajectory import Steps
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool
from studies.progress import SweepObserver
from studies.sweep import run_sweep
from tests.memory_tracker import MemoryTracker

WORKERS = 64
TRIALS = (100, 1_000, 10_000)
SLICE_SECONDS = 0.001
EPOCHS = 4  # of a trial that is not pruned
MODES = {"rounds": {"at_once": 13}, "asynchronous": {"asynchronous": True}}


def main() -> None:
    """coordinator time per slice, memory and resume time up to 10,000 null trials in fifteen studies on 64 workers"""
    for mode, changes in MODES.items():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:  # its memory is its own
            figures, before_it = process.submit(measure, changes).result()
        for each in figures:
            print(
                f"{mode:<12} {each.trials:>6} trials in {each.seconds:6.1f} s: {each.seconds_per_slice * 1e3:5.2f} "
                f"ms a slice, {each.mebibytes:4.0f} MiB more, resumed in {each.seconds_to_resume:5.2f} s",
                flush=True,
            )
        *_, middle, last = figures
        growth = math.log(last.seconds / middle.seconds) / math.log(last.trials / middle.trials)
        print(f"{mode:<12} time in all grows as trials to the {growth:.2f}; {before_it:.0f} MiB without any")
        assert last.seconds_per_slice < 0.010, last
        assert last.mebibytes < 500, last
        assert last.seconds_to_resume < 10, last


@dataclass(frozen=True)
class Figures:
    """A sweep at so many trials: per slice over the last tenth of them or the last 100, and `seconds` in all.

    `mebibytes` is what the process has grown by since the sweep's first trial ended.
    """

    trials: int
    seconds_per_slice: float
    seconds: float
    mebibytes: float
    seconds_to_resume: float


def measure(changes: dict[str, object]) -> tuple[list[Figures], float]:
    """Return the figures of one sweep, stopped and resumed at each number of trials, and the MiB before it."""
    definition, tracker, watch, seconds = null_sweep(changes), NullTracker(), Watch(), 0.0
    figures = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), NullWorkers(WORKERS) as workers:
        pool = WorkerPool(workers, WORKERS)
        for trials in TRIALS:
            seconds += run(definition, tracker, pool, watch, trials)
            per_slice = watch.seconds_per_slice(trials - max(100, trials // 10), trials)
            grown = watch.mebibytes - watch.mebibytes_at_first
            resumed = run(definition, tracker, pool, watch, 0)
            figures.append(Figures(trials, per_slice, seconds, grown, resumed))
    return figures, watch.mebibytes_at_first


def null_sweep(changes: dict[str, object]) -> SweepDefinition:
    """The shipped sweep of five optimizers, on little data, with a budget that 2,000 trials of each do not spend."""
    shipped = catalog.load_sweep("optimizers").sweep
    base = with_settings(shipped.base, {"dataset.train_size": 640, "dataset.validation_size": 320})
    return shipped.model_copy(update={"base": base, "budget": 10_000, "trial_epochs": EPOCHS, **changes})


def run(
    definition: SweepDefinition, tracker: MemoryTracker, pool: WorkerPool, watch: "Watch", until_trials: int
) -> float:
    """Resume the sweep until so many trials have ended, or one slice is trained; return the seconds until then."""
    begun = time.perf_counter()
    stop = watch.stop_at(until_trials)
    with contextlib.suppress(KeyboardInterrupt):
        run_sweep("scale", definition, tracker, pool, watch, stop)
    return watch.stopped - begun


class Watch(SweepObserver):
    """Record when each slice ended and after how many slices each trial ended, and stop the sweep."""

    def __init__(self) -> None:
        self.slices = []
        self.ends = []
        self.stopped = 0.0
        self.mebibytes_at_first = 0.0

    def stop_at(self, trials):
        """Return an event that is set after so many ended trials or after the next slice, whichever is later."""
        self._trials = trials
        self._stop = threading.Event()
        return self._stop

    def trained(self, job, result):
        self.slices.append(time.perf_counter())
        if len(self.ends) >= self._trials and not self._stop.is_set():
            self.stopped = self.slices[-1]
            self._stop.set()

    def ended(self, job):
        self.ends.append(len(self.slices) - 1)
        self.mebibytes = psutil.Process().memory_info().rss / 2**20
        self.mebibytes_at_first = self.mebibytes_at_first or self.mebibytes

    def seconds_per_slice(self, first, last):
        """Return the mean seconds per slice between the ends of these trials."""
        begin, end = (self.ends[max(0, trial - 1)] for trial in (first, last))
        return (self.slices[end] - self.slices[begin]) / (end - begin)


class NullTracker(MemoryTracker):
    """Runs without their files, which MLflow keeps on disk."""

    def log_artifact(self, run_id, name, content):
        if name == DEFINITION_ARTIFACT:
            super().log_artifact(run_id, name, content)


class NullWorkers(ThreadPoolExecutor):
    """Workers that train nothing: in a millisecond, an accuracy by chance."""

    def submit(self, fn, *what) -> Future:
        return super().submit(null_slice, *what)


def null_slice(config, state, splits, data_dir, origin, steps, seconds) -> SliceResult:
    time.sleep(SLICE_SECONDS)
    whole = steps_per_epoch(config)
    before = STEPS.get(state, 0)
    epochs = before // whole
    after = min(before + steps, (epochs + 1) * whole)
    measured = [epochs * whole + step for step in (*measured_steps(config, epochs + 1), whole)]
    metrics = None
    if after % whole == 0:
        accuracy = chance(config, after)
        losses = {"train_loss": 1.0, "validation_loss": 1.0, "test_loss": 1.0}
        accuracies = {"train_accuracy": accuracy, "validation_accuracy": accuracy, "test_accuracy": accuracy}
        durations = {"train_seconds": SLICE_SECONDS, "evaluate_seconds": 0.0, "images_per_second": 1.0}
        metrics = EpochMetrics(epoch=epochs + 1, **losses, **accuracies, **durations)
    trained = after - epochs * whole
    return SliceResult(
        state=null_state(after // whole, after % whole, after),
        step=after % whole,
        steps=Steps(np.ones(trained, np.float32), np.zeros(trained, np.int64)),
        seconds=SLICE_SECONDS,
        points=tuple(
            TrajectoryPoint(
                step=step,
                images=images_at(config, step),
                validation_loss=1.0,
                validation_accuracy=chance(config, step),
            )
            for step in measured
            if before < step <= after
        ),
        metrics=metrics,
    )


def chance(config, step) -> float:
    digest = hashlib.sha256(f"{canonical_json(config)} {step}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


@functools.cache
def null_state(epoch: int, within: int, step: int) -> bytes:
    """The state after so many steps, which are `within` the epoch after `epoch`; `STEPS` has them from then on."""
    begun = EpochBegun(0, torch.ones(within), torch.zeros(within, dtype=torch.int64)) if within else None
    state = RunState(config=f"{step}", epoch=epoch, model={}, optimizer={}, rng={}, begun=begun).to_bytes()
    STEPS[state] = step
    return state


STEPS: dict[bytes | None, int] = {}  # of each state
