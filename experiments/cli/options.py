"""The options and arguments of the commands, and what the shell completes."""

from pathlib import Path
from typing import Annotated

import typer

FLAG = ""  # takes no value, so its help names no type


def _declared_runs() -> list[str]:
    return _declared("run")


def _declared_sweeps() -> list[str]:
    return _declared("sweep")


def _declared(kind: str) -> list[str]:
    """Return the experiments of a kind, for the shell to complete."""
    from experiments import declared

    return [name for name in declared.names() if declared.describe(name).kind == kind]


Json = Annotated[
    bool, typer.Option("--json", metavar=FLAG, help="Print one JSON document on stdout and nothing else there.")
]
Quiet = Annotated[bool, typer.Option("--quiet", metavar=FLAG, help="Print results alone, no progress.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="A folder with the dataset in torchvision's layout."),
]
Fast = Annotated[
    bool,
    typer.Option(
        "--fast",
        metavar=FLAG,
        help="channels_last, fused optimizers, and bfloat16 where the device has it: sooner, other last bits.",
    ),
]
LatestSweep = Annotated[str | None, typer.Argument(metavar="[SWEEP]", help="The latest by default.")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Runs of an optimizer in each table; 10 by default, with --json all."),
]

# of `harness run`
RunArgument = Annotated[
    str | None,
    typer.Argument(
        autocompletion=_declared_runs,
        help="A declared run, as `harness list` shows them, or a TOML or Python file of your own.",
    ),
]
Seed = Annotated[str | None, typer.Option(metavar="N", help="0 to 2**64 - 1.")]
Epochs = Annotated[str | None, typer.Option(metavar="N", help="1 or more.")]
DeviceOption = Annotated[str | None, typer.Option(metavar="NAME", help="auto (the default), cpu, cuda, cuda:1, mps.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As often as you like. Keys: {config_keys}.")
]
Resume = Annotated[str | None, typer.Option(metavar="RUN_ID", help="Go on with a run that was stopped.")]

# of `harness sweep`
SweepArgument = Annotated[
    str,
    typer.Argument(
        autocompletion=_declared_sweeps,
        help="A declared sweep, as `harness list` shows them, or a TOML or Python file of your own.",
    ),
]
OptimizersOption = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="In place of the declared ones: adam,sgd or module:Class, between commas."),
]
SweepSetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Of every run, instead of being searched; as often as you like."),
]
SearchOption = Annotated[
    list[str] | None,
    typer.Option("--search", metavar="KEY=RANGE", help="log(1e-5, 1e-1), uniform(0, 0.5) or [32, 64]."),
]
SweepEpochsOption = Annotated[
    int | None, typer.Option("--epochs", min=1, metavar="N", help="Of each trial that is not pruned, and each final.")
]
BudgetOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Epochs of all trials of an optimizer together.")
]
NameOption = Annotated[str | None, typer.Option(metavar="NAME", help="What the sweep is called in MLflow.")]
SaveOption = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="Write what results as a declared sweep's file.")
]
TrialsOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Per optimizer, the budget in whole trials; pruning makes more of it."),
]
SeedsOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Finals of each winner; more than before are added.")
]
ReplicatesOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Whole searches of each optimizer; more than before are added."),
]
MarginOption = Annotated[
    float | None, typer.Option(metavar="POINTS", help="The difference in accuracy that matters to nobody.")
]
UntilOption = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS", help="Go on until each pair is decided within so many points, or a cap is reached."
    ),
]
ForOption = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="Stop after 90s, 10m or 2h, with a report of what there is."),
]
SamplerOption = Annotated[str | None, typer.Option(metavar="NAME", help="tpe, prior, random, sobol or grid.")]
NoPruning = Annotated[bool, typer.Option("--no-pruning", metavar=FLAG, help="Train every trial to its end.")]
SweepDeviceOption = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="In place of the declared one: auto, cpu, cuda, mps.")
]
Asynchronous = Annotated[
    bool, typer.Option("--async", metavar=FLAG, help="No worker waits, and no second sweep finds the same.")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Slices at a time; by default one per core, or what a cluster holds."),
]
SliceSeconds = Annotated[
    float,
    typer.Option(min=0, metavar="S", help="How long a worker trains at a time, which changes no number."),
]
ExecutorOption = Annotated[str, typer.Option(metavar="NAME", help="inline, local or ray.")]
RayAddress = Annotated[
    str | None,
    typer.Option(
        envvar="RAY_ADDRESS", metavar="HOST:PORT", help="The Ray cluster's head; by default this machine's."
    ),
]
StorageOption = Annotated[
    str | None,
    typer.Option(envvar="OPTUNA_STORAGE", metavar="URL", help="A database for Optuna's studies instead of a file."),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", metavar=FLAG, help="Say what would be done and how long it takes; keep nothing."),
]
Fresh = Annotated[bool, typer.Option("--fresh", metavar=FLAG, help="Begin anew instead of going on.")]
