"""The command that runs a declared sweep, or says what it would do."""

import contextlib
import functools
import shlex
import signal
from typing import TYPE_CHECKING, Any

from experiments.cli.options import (
    Asynchronous,
    DataDir,
    DryRun,
    ExecutorOption,
    Fast,
    Fresh,
    Json,
    NoPruning,
    Quiet,
    RayAddress,
    SamplerOption,
    SliceSeconds,
    StorageOption,
    SweepArgument,
    TrialsOption,
    Workers,
)
from experiments.cli.prose import print_json, say
from harness.errors import HarnessError, WorkFailedError
from harness.records import SLICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from threading import Event

    from studies.definition import SweepDefinition
    from studies.executors.pool import WorkerPool
    from studies.findings import SweepResult

    Workplace = Callable[[], AbstractContextManager[WorkerPool]]


def sweep(
    experiment: SweepArgument,
    trials: TrialsOption = None,
    sampler: SamplerOption = None,
    no_pruning: NoPruning = False,
    asynchronous: Asynchronous = False,
    fast: Fast = False,
    workers: Workers = None,
    slice_seconds: SliceSeconds = SLICE_SECONDS,
    executor: ExecutorOption = "local",
    ray_address: RayAddress = None,
    storage: StorageOption = None,
    dry_run: DryRun = False,
    fresh: Fresh = False,
    data_dir: DataDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """A declared sweep: every optimizer under the same budget, then the winners on fresh seeds.

    The same command goes on where an earlier one stopped.
    """
    from experiments import catalog
    from studies.executors.pool import open_pool

    declared = catalog.load_sweep(experiment)
    definition = _adjusted(declared.sweep, trials, sampler, no_pruning, asynchronous, fast)
    resources = declared.slice_resources
    workplace = functools.partial(open_pool, executor, workers, data_dir, resources, ray_address, slice_seconds)
    if dry_run:
        _print_plan(catalog.title(experiment), definition, workplace, as_json)
        return
    flags = {"no-pruning": no_pruning, "async": asynchronous, "fast": fast}
    command = _command_of(experiment, trials, sampler, flags)
    result = _run(catalog.title(experiment), definition, workplace, fresh, storage, command, quiet)
    from experiments.cli.progress import working
    from experiments.cli.terminal import print_summary

    with working("writing the report", quiet):
        from reports.page import write_report

        page, report = write_report(result.sweep_id)
    if as_json:
        found = report.document.model_copy(update={"report": str(page.resolve())})
        print_json(found.model_dump(mode="json"))
        return
    print_summary(report.summary)
    say(" ".join(report.answer))
    say(f"report: {page.resolve()}")


def _adjusted(
    definition: "SweepDefinition",
    trials: int | None,
    sampler: str | None,
    no_pruning: bool,
    asynchronous: bool,
    fast: bool,
) -> "SweepDefinition":
    """Return the declared definition with what the command says instead."""
    from harness.config import validated, with_settings
    from studies.definition import SweepDefinition

    said: dict[str, Any] = {
        "budget": None if trials is None else trials * definition.trial_epochs,
        "sampler": sampler,
        "pruning": False if no_pruning else None,
        "asynchronous": asynchronous or None,
    }
    said = {key: value for key, value in said.items() if value is not None}
    if fast:
        from harness.training.devices import fast_settings

        said["base"] = with_settings(definition.base, fast_settings(definition.base.device))
    return validated(SweepDefinition, definition.model_dump() | said)


def _run(
    name: str,
    definition: "SweepDefinition",
    workplace: "Workplace",
    fresh: bool,
    storage: str | None,
    command: str,
    quiet: bool,
) -> "SweepResult":
    """Run the sweep, or go on with it, shown on stderr; the first Ctrl-C finishes what is in flight."""
    from experiments.cli.live import watch
    from experiments.cli.progress import working

    with contextlib.ExitStack() as opened:
        with working("starting the workers and opening the tracking store", quiet):
            from harness.tracking.mlflow import MlflowTracker
            from studies.sweep import run_sweep

            pool = opened.enter_context(workplace())  # what its workers need is imported while the store is opened
            tracker = MlflowTracker()
        with watch(definition, quiet) as observer:
            _say_what_waits(definition, pool.workers)
            stop = _stop_on_signals()  # after Ray, which sets its own
            try:
                return run_sweep(name, definition, tracker, pool, observer, stop, fresh, storage, command)
            except (KeyboardInterrupt, WorkFailedError, OSError):
                say("harness: the same command goes on where this one stopped", err=True)
                raise


def _command_of(experiment: str, trials: int | None, sampler: str | None, flags: dict[str, bool]) -> str:
    """The command of a sweep, with what decides what it does; how it does it may be another on the next day."""
    options = {"trials": None if trials is None else str(trials), "sampler": sampler}
    words = [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]
    words += [f"--{name}" for name, said in flags.items() if said]
    return shlex.join(["harness", "sweep", experiment, *words])


def _print_plan(
    name: str,
    definition: "SweepDefinition",
    workplace: "Workplace",
    as_json: bool,
) -> None:
    """What a sweep would do: budgets, spaces, and for how long."""
    from concurrent.futures import BrokenExecutor

    from studies.forecast import forecast

    with workplace() as pool:
        _say_what_waits(definition, pool.workers)
        say("harness: measuring a few steps of each optimizer", err=True)
        try:
            seconds = forecast(definition, pool)
        except BrokenExecutor:
            raise HarnessError("a worker died; the system's log may say why (out of memory, for example)") from None
    if as_json:
        more = {"total_epochs": definition.total_epochs, "workers": pool.workers, "seconds": seconds}
        print_json(definition.model_dump(mode="json") | more)
        return
    from experiments.cli.terminal import print_plan

    print_plan(name, definition, pool.workers, seconds)


def _say_what_waits(definition: "SweepDefinition", workers: int) -> None:
    """What is lost where there are more workers than trials at a time."""
    at_a_time = len(definition.optimizers) * definition.at_once
    if definition.asynchronous:
        say("harness: asynchronous, so timing decides what is tried: another sweep finds something else", err=True)
    elif workers > at_a_time:
        say(
            f"harness: {workers - at_a_time} of {workers} workers wait while trials run, {at_a_time} at a time; "
            "--async keeps them busy, and gives up that a second sweep finds the same",
            err=True,
        )


def _stop_on_signals() -> "Event":
    """Set by the first Ctrl-C or SIGTERM, so that slices in flight are finished; the second ends at once."""
    from threading import Event

    stop = Event()

    def on_signal(number: int, frame: Any) -> None:  # noqa: ANN401
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()
        say("harness: finishing the slices in flight; again ends at once", err=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop
