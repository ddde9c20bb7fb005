"""The command that runs a declared sweep, or says what it would do."""

import contextlib
import functools
import shlex
import signal
from threading import Event, Timer
from typing import TYPE_CHECKING, Any

from experiments.adjusting import Adjustments, adjusted, name_of, redeclared, seconds_of
from experiments.cli.options import (
    Asynchronous,
    BudgetOption,
    DataDir,
    DryRun,
    ExecutorOption,
    Fast,
    ForOption,
    Fresh,
    Json,
    MarginOption,
    NameOption,
    NoPruning,
    OptimizersOption,
    Quiet,
    RayAddress,
    ReplicatesOption,
    SamplerOption,
    SaveOption,
    SearchOption,
    SeedsOption,
    SliceSeconds,
    StorageOption,
    SweepArgument,
    SweepDeviceOption,
    SweepEpochsOption,
    SweepSetOption,
    TrialsOption,
    UntilOption,
    Workers,
)
from experiments.cli.prose import print_json, say
from experiments.cli.settings import names_of, searched_of, settings_of
from harness.errors import HarnessError, SweepStopped, WorkFailedError
from harness.pace import SLICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from studies.definition import SweepDefinition
    from studies.executors.pool import WorkerPool
    from studies.findings import SweepResult

    Workplace = Callable[[], AbstractContextManager[WorkerPool]]


def sweep(
    experiment: SweepArgument,
    optimizers: OptimizersOption = None,
    settings: SweepSetOption = None,
    search: SearchOption = None,
    epochs: SweepEpochsOption = None,
    budget: BudgetOption = None,
    trials: TrialsOption = None,
    seeds: SeedsOption = None,
    replicates: ReplicatesOption = None,
    margin: MarginOption = None,
    until: UntilOption = None,
    deadline: ForOption = None,
    sampler: SamplerOption = None,
    no_pruning: NoPruning = False,
    asynchronous: Asynchronous = False,
    device: SweepDeviceOption = None,
    fast: Fast = False,
    name: NameOption = None,
    save: SaveOption = None,
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
    from experiments.saving import save_sweep
    from harness.training.devices import resolve_device
    from studies.executors.pool import open_pool

    declared = catalog.load_sweep(experiment)
    said = Adjustments(
        optimizers=names_of(optimizers),
        settings=settings_of(declared.sweep.base, settings or ()),
        search=searched_of(search or ()),
        epochs=epochs,
        budget=budget,
        trials=trials,
        seeds=seeds,
        replicates=replicates,
        margin=margin,
        until=until,
        sampler=sampler,
        no_pruning=no_pruning,
        asynchronous=asynchronous,
        device=device,
        fast=fast,
        name=name,
    )
    seconds = None if deadline is None else seconds_of(deadline)
    structure = redeclared(declared.sweep, said)
    definition = adjusted(structure, said)
    name = name_of(catalog.title(experiment), declared.sweep, structure, said)
    if executor != "ray":  # whose nodes may have what this machine lacks
        resolve_device(definition.base.device)
    if save is not None:
        save_sweep(save, declared, definition)
        say(f"harness: declared in {save}", err=True)
    resources = declared.slice_resources(definition.base)
    workplace = functools.partial(open_pool, executor, workers, data_dir, resources, ray_address, slice_seconds)
    if dry_run:
        _print_plan(name, definition, workplace, as_json)
        return
    if until is not None:
        _say_how_long(definition, workplace)
    command = shlex.join(["harness", "sweep", experiment, *said.words])
    stop = Event()
    with _deadline(seconds, stop) as passed:
        try:
            sweep_id = _run(name, definition, workplace, fresh, storage, command, quiet, stop).sweep_id
        except SweepStopped as stopped:
            _report(stopped.sweep_id, quiet, as_json)
            if passed.is_set():
                return
            raise
    _report(sweep_id, quiet, as_json)


def _report(sweep_id: str, quiet: bool, as_json: bool) -> None:
    """Write the report of what there is of a sweep, and print its answer."""
    from experiments.cli.progress import working
    from experiments.cli.results import print_summary

    with working("writing the report", quiet):
        from reports.page import write_report

        page, report = write_report(sweep_id)
    if as_json:
        found = report.document.model_copy(update={"report": str(page.resolve())})
        print_json(found.model_dump(mode="json"))
        return
    print_summary(report.summary)
    say(" ".join(report.answer))
    say(f"report: {page.resolve()}")


@contextlib.contextmanager
def _deadline(seconds: float | None, stop: Event) -> "Iterator[Event]":
    """Have the sweep stopped after so long; what it yields says then that it was."""
    passed = Event()

    def pass_() -> None:
        passed.set()
        stop.set()
        say("harness: the time is over, finishing the slices in flight", err=True)

    timer = None if seconds is None else Timer(seconds, pass_)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield passed
    finally:
        if timer is not None:
            timer.cancel()


def _run(
    name: str,
    definition: "SweepDefinition",
    workplace: "Workplace",
    fresh: bool,
    storage: str | None,
    command: str,
    quiet: bool,
    stop: Event,
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
            _stop_on_signals(stop)  # after Ray, which sets its own
            try:
                return run_sweep(name, definition, tracker, pool, observer, stop, fresh, storage, command)
            except (KeyboardInterrupt, WorkFailedError, OSError):
                say("harness: the same command goes on where this one stopped", err=True)
                raise


def _say_how_long(definition: "SweepDefinition", workplace: "Workplace") -> None:
    """How long the sweep takes until its first look, and until its last."""
    from experiments.cli.terminal import roughly
    from studies.forecast import estimate_seconds, measure

    first = definition.looks_at[0]
    changes = {"replicates": first} if definition.replicates > 1 else {"final_seeds": definition.final_seeds[:first]}
    with workplace() as pool:
        say("harness: measuring a few steps of each optimizer", err=True)
        seconds = measure(definition, pool)
        least = estimate_seconds(definition.model_copy(update=changes | {"looks": None}), pool.workers, seconds)
        most = estimate_seconds(definition, pool.workers, seconds)
    counted = "replicates" if definition.replicates > 1 else "finals"
    last = definition.looks_at[-1]
    say(f"harness: about {roughly(least)} for {first} {counted}, {roughly(most)} for {last} at most", err=True)


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


def _stop_on_signals(stop: Event) -> None:
    """Have the first Ctrl-C or SIGTERM stop the sweep, slices in flight being finished; the second ends at once."""

    def on_signal(number: int, frame: Any) -> None:  # noqa: ANN401
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()
        say("harness: finishing the slices in flight; again ends at once", err=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
