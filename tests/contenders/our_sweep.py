"""Our sweep, until its trials have ended.

Variant: `fixed`, or the seed of the default sweep, whose winners are then trained on fresh ones;
`float32` or `fast`; how many workers or `inline`; then settings. `fixed fast 2`.
"""

import contextlib
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import psutil

from harness.config import with_settings
from harness.records import Outcome, Stage
from harness.tracking.mlflow import MlflowTracker
from harness.training.devices import fast_settings
from studies.executors.pool import open_pool
from studies.progress import SweepObserver
from studies.sweep import run_sweep
from tests.contenders import Swept, settings
from tests.contenders.sweeps import FIXED, default_sweep, fixed_sweep
from tests.contenders.winners import winners


class Watch(SweepObserver):
    """When the last trial ended, how many there were, how long their slices took, and the workers' memory then.

    `completed` are the configs of those that came to their end, with their validation accuracy. The first final ends
    the sweep.
    """

    def __init__(self):
        self.trials = 0
        self.trained_seconds = 0.0
        self.ended_at = 0.0
        self.worker_bytes = 0
        self.completed = []

    def started(self, job):
        if job.stage is Stage.FINAL:
            raise KeyboardInterrupt

    def trained(self, job, result):
        self.trained_seconds += result.seconds
        workers = [psutil.Process(each.pid) for each in multiprocessing.active_children()]
        self.worker_bytes = max([self.worker_bytes, *(each.memory_full_info().uss for each in workers)])

    def ended(self, job):
        self.trials += 1
        self.ended_at = time.perf_counter()
        if job.outcome is Outcome.COMPLETED:
            self.completed.append((job.last.validation_accuracy, job.run.config))


def run(folder: Path, epochs: int, variant: str) -> list[Swept]:
    which, precision, workers, *more = variant.split()
    definition = fixed_sweep(epochs) if which == FIXED else default_sweep(int(which))
    profile = fast_settings("cpu") if precision == "fast" else {}
    base = with_settings(definition.base, {**profile, **settings(more)})
    definition = definition.model_copy(update={"base": base})
    watch = Watch()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as project:
        os.chdir(project)
        executor, count = ("inline", 1) if workers == "inline" else ("local", int(workers))
        with contextlib.suppress(KeyboardInterrupt), open_pool(executor, count) as pool:
            run_sweep(which, definition, MlflowTracker(), pool, watch)
        found = {} if which == FIXED else winners(watch.completed, definition.final_seeds, epochs, folder)
    seconds = watch.ended_at - started
    return [Swept(seconds, watch.trials, found, watch.trained_seconds / count / seconds, watch.worker_bytes)]
