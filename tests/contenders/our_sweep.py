"""Our sweep.

Variant: `fixed` or `default`, `float32` or `fast`, how many workers or `inline`, then settings; `fixed fast 2`.
"""

import contextlib
import os
import tempfile
import time
from pathlib import Path
from threading import Event

import psutil

from harness.config import with_settings
from harness.records import Stage
from harness.reproducibility import fast_settings
from harness.tracking import MlflowTracker
from studies.executors import open_pool
from studies.jobs import Job, Observer
from studies.sweep import run_sweep
from tests.contenders import Swept, settings
from tests.contenders.sweeps import FIXED, FIXED_TRIALS, default_sweep, fixed_sweep


class Watch(Observer):
    """When the last trial ended, how many there were, how long their slices took, and the workers' memory then.

    The fixed list of trials ends the sweep.
    """

    def __init__(self, stop: Event | None) -> None:
        self.stop = stop
        self.trials = 0
        self.trained_seconds = 0.0
        self.ended_at = 0.0
        self.worker_bytes = 0

    def trained(self, job, metrics):
        if job.stage is Stage.TRIAL:
            self.trained_seconds += metrics.train_seconds + metrics.evaluate_seconds
            workers = psutil.Process().children(recursive=True)
            self.worker_bytes = max([self.worker_bytes, *(each.memory_full_info().uss for each in workers)])

    def ended(self, job: Job) -> None:
        if job.stage is Stage.TRIAL:
            self.trials += 1
            self.ended_at = time.perf_counter()
            if self.stop and self.trials == len(FIXED_TRIALS):
                self.stop.set()


def run(folder: Path, epochs: int, variant: str) -> list[Swept]:
    which, precision, workers, *more = variant.split()
    definition = fixed_sweep(epochs) if which == FIXED else default_sweep()
    profile = fast_settings("cpu") if precision == "fast" else {}
    base = with_settings(definition.base, {**profile, **settings(more)})
    definition = definition.model_copy(update={"base": base})
    stop = Event()
    watch = Watch(stop if which == FIXED else None)
    finals: tuple[float, ...] = ()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as project, contextlib.suppress(KeyboardInterrupt):
        os.chdir(project)
        executor, count = ("inline", 1) if workers == "inline" else ("local", int(workers))
        with open_pool(executor, count) as pool:
            result = run_sweep(which, definition, MlflowTracker(), pool, watch, stop)
        finals = max(result.optimizers.values(), key=lambda each: each.best_validation_accuracy or 0).finals
    seconds = watch.ended_at - started
    return [Swept(seconds, watch.trials, finals, watch.trained_seconds / count / seconds, watch.worker_bytes)]
