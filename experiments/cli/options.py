"""Define the options and arguments of the commands, their groups, and the names that the shell completes.

`experiments.parameters` has the texts of the parameters of `run` and `sweep`.
"""

from pathlib import Path
from typing import Annotated

import typer

from experiments.parameters import RUN, SWEEP

TRAINED = "What is trained"
COMPARED = "What is compared"
SEARCHED = "How it is searched"
SURE = "How sure the answer is, and when it stops"
WHERE = "Where it trains"
PRINTED = "What is printed"
DEVICES = "auto, cpu, cuda, cuda:1 or mps"


def _declared_runs() -> list[str]:
    return _declared("run")


def _declared_sweeps() -> list[str]:
    return _declared("sweep")


def _declared(kind: str) -> list[str]:
    """Return the names of the declared experiments of a kind, which the shell completes."""
    from experiments import declared

    return [name for name in declared.names() if declared.describe(name).kind == kind]


Json = Annotated[bool, typer.Option("--json", rich_help_panel=PRINTED, help=f"{SWEEP['as_json']}.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", rich_help_panel=PRINTED, help=f"{SWEEP['quiet']}; print only the results.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="FOLDER", rich_help_panel=WHERE, help=f"{SWEEP['data_dir']}.")
]
Fast = Annotated[bool, typer.Option("--fast", rich_help_panel=WHERE, help=f"{SWEEP['fast']}.")]
LatestSweep = Annotated[
    str | None, typer.Argument(metavar="SWEEP", help="The id of a sweep; by default the latest sweep.")
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Runs of an optimizer in each table; by default 10, or all with --json."),
]

# the parameters of `harness run`
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="EXPERIMENT",
        autocompletion=_declared_runs,
        rich_help_panel=TRAINED,
        help=f"{RUN['experiment']}.",
    ),
]
Seed = Annotated[
    str | None, typer.Option(metavar="N", rich_help_panel=TRAINED, help=f"{RUN['seed']}, from 0 to 2**64 - 1.")
]
Epochs = Annotated[str | None, typer.Option(metavar="N", rich_help_panel=TRAINED, help=f"{RUN['epochs']}.")]
DeviceOption = Annotated[
    str | None, typer.Option(metavar="NAME", rich_help_panel=WHERE, help=f"{RUN['device']}: {DEVICES}.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        rich_help_panel=TRAINED,
        help=f"{RUN['settings']}; repeat the option to set several: {{config_keys}}.",
    ),
]
Resume = Annotated[str | None, typer.Option(metavar="RUN_ID", rich_help_panel=TRAINED, help=f"{RUN['resume']}.")]

# the parameters of `harness sweep`
SweepArgument = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        autocompletion=_declared_sweeps,
        rich_help_panel=COMPARED,
        help=f"{SWEEP['experiment']}.",
    ),
]
OptimizersOption = Annotated[
    str | None,
    typer.Option(metavar="NAMES", rich_help_panel=COMPARED, help=f"{SWEEP['optimizers']}: adam,sgd or module:Class."),
]
SweepSetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", rich_help_panel=COMPARED, help=f"{SWEEP['settings']}."),
]
SearchOption = Annotated[
    list[str] | None,
    typer.Option(
        "--search",
        metavar="KEY=RANGE",
        rich_help_panel=COMPARED,
        help=f"{SWEEP['search']}: log(1e-5, 1e-1) or [32, 64].",
    ),
]
NameOption = Annotated[str | None, typer.Option(metavar="NAME", rich_help_panel=COMPARED, help=f"{SWEEP['name']}.")]
SaveOption = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", rich_help_panel=COMPARED, help=f"{SWEEP['save']}.")
]
Fresh = Annotated[bool, typer.Option("--fresh", rich_help_panel=COMPARED, help=f"{SWEEP['fresh']}.")]
SweepEpochsOption = Annotated[
    int | None,
    typer.Option("--epochs", min=1, metavar="N", rich_help_panel=SEARCHED, help=f"{SWEEP['epochs']}."),
]
BudgetOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", rich_help_panel=SEARCHED, help=f"{SWEEP['budget']}.")
]
TrialsOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", rich_help_panel=SEARCHED, help=f"{SWEEP['trials']}.")
]
SamplerOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=SEARCHED, help=f"{SWEEP['sampler']}: tpe, prior, random, sobol or grid."
    ),
]
NoPruning = Annotated[bool, typer.Option("--no-pruning", rich_help_panel=SEARCHED, help=f"{SWEEP['no_pruning']}.")]
Asynchronous = Annotated[bool, typer.Option("--async", rich_help_panel=SEARCHED, help=f"{SWEEP['asynchronous']}.")]
SeedsOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", rich_help_panel=SURE, help=f"{SWEEP['seeds']}; a larger number adds some."),
]
ReplicatesOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", rich_help_panel=SURE, help=f"{SWEEP['replicates']}; a larger number adds some."),
]
MarginOption = Annotated[
    float | None, typer.Option(metavar="POINTS", rich_help_panel=SURE, help=f"{SWEEP['margin']}.")
]
UntilOption = Annotated[float | None, typer.Option(metavar="POINTS", rich_help_panel=SURE, help=f"{SWEEP['until']}.")]
ForOption = Annotated[
    str | None, typer.Option("--for", metavar="TIME", rich_help_panel=SURE, help=f"{SWEEP['time_limit']}.")
]
SweepDeviceOption = Annotated[
    str | None, typer.Option("--device", metavar="NAME", rich_help_panel=WHERE, help=f"{SWEEP['device']}: {DEVICES}.")
]
Workers = Annotated[int | None, typer.Option(min=1, metavar="N", rich_help_panel=WHERE, help=f"{SWEEP['workers']}.")]
SliceSeconds = Annotated[
    float, typer.Option(min=0, metavar="S", rich_help_panel=WHERE, help=f"{SWEEP['slice_seconds']}.")
]
ExecutorOption = Annotated[str, typer.Option(metavar="NAME", rich_help_panel=WHERE, help=f"{SWEEP['executor']}.")]
RayAddress = Annotated[
    str | None,
    typer.Option(envvar="RAY_ADDRESS", metavar="HOST", rich_help_panel=WHERE, help=f"{SWEEP['ray_address']}."),
]
StorageOption = Annotated[
    str | None,
    typer.Option(envvar="OPTUNA_STORAGE", metavar="URL", rich_help_panel=WHERE, help=f"{SWEEP['storage']}."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", rich_help_panel=PRINTED, help=f"{SWEEP['dry_run']}.")]
