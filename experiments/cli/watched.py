"""Run a sweep while a person watches: progress on stderr, Ctrl-C and a time limit stop it."""

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
    """Run the sweep, or resume it, for at most so many seconds; progress is shown on stderr unless `quiet`.

    The first Ctrl-C finishes the slices in flight and stops the sweep, the second ends it at once. Return the sweep's
    id, and the interrupt where Ctrl-C stopped it. A sweep that ran out of time is not interrupted.

    Raises:
        HarnessError: what `run_sweep` raises.
        KeyboardInterrupt: Ctrl-C came twice, or before the sweep had begun.
    """
    stop = Event()
    with _time_limit(seconds, stop) as is_over:
        try:
            return _run(plan, workplace, fresh, storage, quiet, stop), None
        except SweepStopped as stopped:
            return stopped.sweep_id, None if is_over.is_set() else stopped


def say_what_waits(definition: "SweepDefinition", workers: int) -> None:
    """Say that timing decides what an asynchronous sweep tries, or how many workers a synchronous one leaves idle."""
    at_a_time = len(definition.optimizers) * definition.at_once
    if definition.asynchronous:
        say("harness: asynchronous, so timing decides what is tried: another sweep finds something else", err=True)
    elif workers > at_a_time:
        say(
            f"harness: {workers - at_a_time} of {workers} workers wait while trials run, {at_a_time} at a time; "
            "--async keeps them busy, and gives up that a second sweep finds the same",
            err=True,
        )


def _run(plan: SweepPlan, workplace: Workplace, fresh: bool, storage: str | None, quiet: bool, stop: Event) -> str:
    from experiments.cli.live import watch
    from experiments.cli.progress import working

    with contextlib.ExitStack() as opened:
        with working("starting the workers and opening the tracking store", quiet):
            from harness.tracking.mlflow import MlflowTracker
            from studies.sweep import run_sweep

            pool = opened.enter_context(workplace())  # what its workers need is imported while the store is opened
            tracker = MlflowTracker()
        observer = opened.enter_context(watch(plan.definition, quiet))
        say_what_waits(plan.definition, pool.workers)
        opened.enter_context(_stopped_by_signals(stop))  # after Ray, which sets its own
        try:
            ended = run_sweep(plan.name, plan.definition, tracker, pool, observer, stop, fresh, storage, plan.command)
        except (KeyboardInterrupt, WorkFailedError, OSError):
            say("harness: the same command goes on where this one stopped", err=True)
            raise
    return ended.sweep_id


@contextlib.contextmanager
def _time_limit(seconds: float | None, stop: Event) -> Iterator[Event]:
    """Have the sweep stopped after so many seconds; the event that is yielded is set then."""
    is_over = Event()

    def end() -> None:
        is_over.set()
        stop.set()
        say("harness: the time is over, finishing the slices in flight", err=True)

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
    """Have the first Ctrl-C or SIGTERM stop the sweep after the slices in flight, and the second end it at once."""

    def on_signal(number: int, frame: Any) -> None:  # noqa: ANN401
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()
        say("harness: finishing the slices in flight; again ends at once", err=True)

    if threading.current_thread() is not threading.main_thread():  # where Python sets no handlers
        yield
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
