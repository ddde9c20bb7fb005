"""Define the command that runs a declared sweep, or prints its plan."""

import functools
from typing import TYPE_CHECKING

from experiments.adjusting import Adjustments, seconds_of
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
from experiments.cli.watched import Workplace, run_watched, say_what_waits
from experiments.planning import plan_sweep
from harness.errors import HarnessError
from harness.pace import SLICE_SECONDS

if TYPE_CHECKING:
    from studies.definition import SweepDefinition


def sweep(
    experiment: SweepArgument,
    optimizers: OptimizersOption = None,
    settings: SweepSetOption = None,
    search: SearchOption = None,
    name: NameOption = None,
    save: SaveOption = None,
    fresh: Fresh = False,
    epochs: SweepEpochsOption = None,
    budget: BudgetOption = None,
    trials: TrialsOption = None,
    sampler: SamplerOption = None,
    no_pruning: NoPruning = False,
    asynchronous: Asynchronous = False,
    seeds: SeedsOption = None,
    replicates: ReplicatesOption = None,
    margin: MarginOption = None,
    until: UntilOption = None,
    time_limit: ForOption = None,
    device: SweepDeviceOption = None,
    fast: Fast = False,
    workers: Workers = None,
    slice_seconds: SliceSeconds = SLICE_SECONDS,
    executor: ExecutorOption = "local",
    ray_address: RayAddress = None,
    storage: StorageOption = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Tune optimizers under equal budgets, then train their winners on new seeds."""
    from experiments import catalog
    from experiments.saving import save_sweep
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
    seconds = None if time_limit is None else seconds_of(time_limit)
    plan = plan_sweep(experiment, declared, said, executor)
    if save is not None:
        save_sweep(save, declared, plan.definition)
        say(f"harness: the definition is saved as {save}", err=True)
    workplace = functools.partial(open_pool, executor, workers, data_dir, plan.resources, ray_address, slice_seconds)
    if dry_run:
        _print_plan(plan.name, plan.definition, workplace, as_json)
        return
    if until is not None:
        _say_how_long(plan.definition, workplace)
    sweep_id, interrupt = run_watched(plan, workplace, fresh=fresh, storage=storage, quiet=quiet, seconds=seconds)
    _report(sweep_id, quiet, as_json)
    if interrupt is not None:
        raise interrupt


def _report(sweep_id: str, quiet: bool, as_json: bool) -> None:
    """Write the report of a sweep's results so far, and print its answer."""
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


def _say_how_long(definition: "SweepDefinition", workplace: Workplace) -> None:
    """Print the estimated time until the sweep's first look, and until its last look."""
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
    workplace: Workplace,
    as_json: bool,
) -> None:
    """Print a sweep's plan: its budgets, spaces and estimated time.

    Raises:
        HarnessError: a worker died while it measured the speed.
    """
    from concurrent.futures import BrokenExecutor

    from studies.forecast import forecast

    with workplace() as pool:
        say_what_waits(definition, pool.workers)
        say("harness: measuring a few steps of each optimizer", err=True)
        try:
            seconds = forecast(definition, pool)
        except BrokenExecutor:
            raise HarnessError(
                "a worker died; look for the cause in the system's log (out of memory, for example)"
            ) from None
    if as_json:
        more = {"total_epochs": definition.total_epochs, "workers": pool.workers, "seconds": seconds}
        print_json(definition.model_dump(mode="json") | more)
        return
    from experiments.cli.terminal import print_plan

    print_plan(name, definition, pool.workers, seconds)
