"""Run a sweep with its progress on stderr, and stop it on Ctrl-C or after a time limit."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from threading import Event, Timer
from typing import TYPE_CHECKING, Any

from experiments.cli.prose import say
from experiments.planning import SweepPlan
from harness.errors import SweepStopped, WorkFailedError

if TYPE_CHECKING:
    from studies.definition import SweepDefinition
    from studies.executors.pool import WorkerPool

Workplace = Callable[[], AbstractContextManager["WorkerPool"]]


def run_watched(
    plan: SweepPlan,
    workplace: Workplace,
    *,
    fresh: bool,
    storage: str | None,
    quiet: bool,
    seconds: float | None,
) -> tuple[str, SweepStopped | None]:
    """Run or resume the sweep, for at most `seconds` seconds, with progress on stderr unless `quiet`.

    The first Ctrl-C stops the sweep after the slices in flight, and the second stops it at once. Return the sweep's
    id, and the interrupt if Ctrl-C stopped the sweep. After the time limit, the second value is None.

    Raises:
        HarnessError: `run_sweep` raised it.
        KeyboardInterrupt: Ctrl-C was pressed twice, or before the sweep had begun.
    """
    stop = Event()
    with _time_limit(seconds, stop) as is_over:
        try:
            return _run(plan, workplace, fresh, storage, quiet, stop), None
        except SweepStopped as stopped:
            return stopped.sweep_id, None if is_over.is_set() else stopped


def say_what_waits(definition: "SweepDefinition", workers: int) -> None:
    """Print that an asynchronous sweep depends on timing, or how many workers a synchronous sweep leaves idle."""
    at_a_time = len(definition.optimizers) * definition.at_once
    if definition.asynchronous:
        say("harness: asynchronous, so the results depend on timing, and a rerun may find other results", err=True)
    elif workers > at_a_time:
        say(
            f"harness: {workers - at_a_time} of {workers} workers wait while trials run, {at_a_time} at a time; "
            "--async keeps them busy, but then a rerun may find other results",
            err=True,
        )


def _run(plan: SweepPlan, workplace: Workplace, fresh: bool, storage: str | None, quiet: bool, stop: Event) -> str:
    from experiments.cli.live import watch
    from experiments.cli.progress import working

    with contextlib.ExitStack() as opened:
        with working("starting the workers and opening the tracking store", quiet):
            from harness.tracking.mlflow import MlflowTracker
            from studies.sweep import run_sweep

            pool = opened.enter_context(workplace())  # its workers import modules while the store is opened
            tracker = MlflowTracker()
        observer = opened.enter_context(watch(plan.definition, quiet))
        say_what_waits(plan.definition, pool.workers)
        opened.enter_context(_stopped_by_signals(stop))  # after Ray, which sets its own handlers
        try:
            ended = run_sweep(plan.name, plan.definition, tracker, pool, observer, stop, fresh, storage, plan.command)
        except (KeyboardInterrupt, WorkFailedError, OSError):
            say("harness: run the same command again to resume the sweep", err=True)
            raise
    return ended.sweep_id


@contextlib.contextmanager
def _time_limit(seconds: float | None, stop: Event) -> Iterator[Event]:
    """Set `stop` after so many seconds (None: never); yield an event that is set at the same time."""
    is_over = Event()

    def end() -> None:
        is_over.set()
        stop.set()
        say("harness: the time limit is reached; finishing the slices in flight", err=True)

    timer = None if seconds is None else Timer(seconds, end)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield is_over
    finally:
        if timer is not None:
            timer.cancel()


@contextlib.contextmanager
def _stopped_by_signals(stop: Event) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM set `stop`, and the second raise KeyboardInterrupt."""

    def on_signal(number: int, frame: Any) -> None:  # noqa: ANN401
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()
        say("harness: finishing the slices in flight; press Ctrl-C again to stop at once", err=True)

    if threading.current_thread() is not threading.main_thread():  # Python sets handlers only in the main thread
        yield
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
