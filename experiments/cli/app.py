"""The `harness` command: parses, delegates, prints. Commands import what they need, so that help is instant."""

import ast
import functools
import json
import os
import shlex
import signal
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from experiments.cli.prose import say
from harness.errors import BadInputError, RefusedError, WorkFailedError, unknown, without_password

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from threading import Event

    from harness.config import RunConfig
    from studies.definition import SweepDefinition
    from studies.executors.pool import WorkerPool

app = typer.Typer(
    name="harness",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

FLAG = ""  # takes no value, so its help names no type
Json = Annotated[
    bool, typer.Option("--json", metavar=FLAG, help="Print one JSON document on stdout and nothing else there.")
]
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
FORMATS = ("csv", "parquet", "json")
INTERRUPTED = 130  # what typer makes of a KeyboardInterrupt
CONFIG_KEYS = (
    "dataset.name, dataset.train_size, dataset.validation_size, dataset.split_seed, model.activation, "
    "model.leaky_relu_slope, model.dropout, optimizer.name, optimizer.lr and the optimizer's other "
    "hyperparameters, schedule.name and its fields, label_smoothing, gradient_clip_norm, augmentation.rotation, "
    "augmentation.translation, augmentation.scale, augmentation.horizontal_flip, batch_size, evaluation_batch_size, "
    "epochs, checkpoint_every, seed, device, threads, precision, memory_format, fused"
)


def _runs() -> list[str]:
    return _declared("run")


def _sweeps() -> list[str]:
    return _declared("sweep")


def _declared(kind: str) -> list[str]:
    """The experiments of a kind, for the shell to complete."""
    from experiments import catalog

    return [name for name in catalog.names() if catalog.load(name).kind == kind]


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("optimizer-harness"))
        raise typer.Exit


@app.callback()
def harness(
    version: Annotated[
        bool,
        typer.Option("--version", metavar=FLAG, help="Print the version.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Which optimizer, learning rate, batch size and dropout should I train this network with?"""


@app.command("list")
def list_experiments(as_json: Json = False) -> None:
    """The declared experiments, a line each with kind, cost and what it shows."""
    from experiments import catalog

    experiments = {name: catalog.load(name) for name in catalog.names()}
    if as_json:
        _print_json(
            [
                {"name": name} | each.model_dump(include={"kind", "cost", "shows", "result"})
                for name, each in experiments.items()
            ]
        )
        return
    from experiments.cli.terminal import print_experiments

    print_experiments(experiments)


@app.command()
def run(
    experiment: Annotated[
        str | None,
        typer.Argument(
            autocompletion=_runs, help="A declared run, as `harness list` shows them, or your Python file."
        ),
    ] = None,
    seed: Annotated[str | None, typer.Option(metavar="N", help="0 to 2**64 - 1.")] = None,
    epochs: Annotated[str | None, typer.Option(metavar="N", help="1 or more.")] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="auto (the default), cpu, cuda, cuda:1, mps.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help=f"As often as you like. Keys: {CONFIG_KEYS}."),
    ] = None,
    fast: Fast = False,
    resume: Annotated[str | None, typer.Option(metavar="RUN_ID", help="Go on with a run that was stopped.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """One run of a declared experiment, tracked in MLflow."""
    if not experiment and not resume:
        raise BadInputError(
            "which run is missing: the name of a declared run or a Python file is expected, or --resume RUN_ID; "
            "say `harness run chapter`, or see `harness list`"
        )
    if resume is not None and (experiment or seed or epochs or device or settings or fast):
        raise BadInputError(
            f"--resume {resume!r} with an experiment or settings: --resume alone is expected, since a run goes on "
            "with the config that it has; leave out the rest"
        )
    config = _resolve(experiment, seed, epochs, device or "auto", settings or [], fast) if experiment else None
    _keep_caches_here()
    from experiments.catalog import title
    from experiments.cli.terminal import epoch_line
    from harness.run import begin_run, complete_run, resume_run
    from harness.tracking.mlflow import MlflowTracker

    tracker = MlflowTracker()
    opened = (
        begin_run(config, tracker, title(experiment), data_dir)
        if config and experiment
        else resume_run(str(resume), tracker, data_dir)
    )
    try:
        record = complete_run(
            opened,
            tracker,
            data_dir,
            on_epoch=lambda metrics: typer.echo(epoch_line(metrics, opened.config.epochs), err=True),
        )
    except (KeyboardInterrupt, WorkFailedError):
        say(f"harness: to go on: harness run --resume {opened.run_id}", err=True)
        raise
    if as_json:
        _print_json(record.model_dump(mode="json"))
    else:
        say(f"{record.outcome}: run {record.run_id}, state {record.state_hash[:12]}")
    if record.divergence is not None:
        from harness.config import learning_rate

        where, rate = record.divergence, learning_rate(record.config.optimizer)
        say(
            f"run {record.run_id} diverged: the {where.split} loss is not finite at epoch {where.epoch}, "
            f"step {where.step}; try {f'a smaller optimizer.{rate[0]}' if rate else 'other settings'}",
            err=True,
        )
        raise typer.Exit(1)


@app.command()
def sweep(
    experiment: Annotated[
        str,
        typer.Argument(
            autocompletion=_sweeps, help="A declared sweep, as `harness list` shows them, or your Python file."
        ),
    ],
    trials: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Per optimizer, the budget in whole trials; pruning makes more of it."),
    ] = None,
    sampler: Annotated[str | None, typer.Option(metavar="NAME", help="tpe, random, sobol or grid.")] = None,
    no_pruning: Annotated[
        bool, typer.Option("--no-pruning", metavar=FLAG, help="Train every trial to its end.")
    ] = False,
    asynchronous: Annotated[
        bool, typer.Option("--async", metavar=FLAG, help="No worker waits, and no second sweep finds the same.")
    ] = False,
    fast: Fast = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Slices at a time; by default one per core, or what a cluster holds."),
    ] = None,
    executor: Annotated[str, typer.Option(metavar="NAME", help="inline, local or ray.")] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            envvar="RAY_ADDRESS",
            metavar="HOST:PORT",
            help="The Ray cluster's head; by default this machine's.",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            envvar="OPTUNA_STORAGE", metavar="URL", help="A database for Optuna's studies instead of a file."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", metavar=FLAG, help="Say what would be done and how long it takes; keep nothing."),
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", metavar=FLAG, help="Begin anew instead of going on.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """A declared sweep: every optimizer under the same budget, then the winners on fresh seeds.

    The same command goes on where an earlier one stopped.
    """
    from experiments import catalog
    from harness.config import validated, with_settings
    from studies.definition import SweepDefinition

    declared = catalog.load_sweep(experiment)
    definition = declared.sweep
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
    definition = validated(SweepDefinition, definition.model_dump() | said)
    command = _command_of(
        experiment, trials, sampler, {"no-pruning": no_pruning, "async": asynchronous, "fast": fast}
    )
    from studies.executors.pool import open_pool

    workplace = functools.partial(open_pool, executor, workers, data_dir, declared.slice_resources, ray_address)
    if dry_run:
        _print_plan(catalog.title(experiment), definition, workplace, as_json)
        return
    _keep_caches_here()
    from experiments.cli.live import watch
    from experiments.cli.terminal import print_summary
    from harness.tracking.mlflow import MlflowTracker
    from studies.sweep import run_sweep

    with workplace() as pool:  # what its workers need is imported while the store is opened
        tracker = MlflowTracker()
        with watch(definition) as observer:
            _say_what_waits(definition, pool.workers)
            stop = _stop_on_signals()  # after Ray, which sets its own
            try:
                result = run_sweep(
                    catalog.title(experiment), definition, tracker, pool, observer, stop, fresh, storage, command
                )
            except (KeyboardInterrupt, WorkFailedError, OSError):
                say("harness: the same command goes on where this one stopped", err=True)
                raise
    from reports.page import write_report

    page, report = write_report(result.sweep_id)
    if as_json:
        document = result.model_dump(mode="json") | {"report": str(page.resolve()), "subset": definition.subset}
        for row in json.loads(report.summary.to_json(orient="records")):
            more = {"ci": [row["low"], row["high"]], "tiers": row["tiers"], "edges": row["edges"]}
            document["optimizers"][row["optimizer"]] |= more | {"selected_mean": row["selected_mean"]}
        _print_json(document | {"answer": report.answer})
        return
    print_summary(report.summary)
    say(" ".join(report.answer))
    say(f"report: {page.resolve()}")


@app.command()
def status(
    sweep_id: Annotated[str | None, typer.Argument(metavar="[SWEEP]", help="The latest by default.")] = None,
    as_json: Json = False,
) -> None:
    """How far a sweep is, while it runs or after it was stopped: budgets spent, best so far, what runs now."""
    from experiments.cli.steps import next_step
    from experiments.cli.terminal import print_cut_off, print_progress
    from harness.cut_off import cut_off_runs
    from harness.lock import holder
    from harness.tracking.read import latest_sweep, read_definition, read_sweep
    from reports.status import sweep_progress
    from studies.snapshot import read_snapshot, sweep_folder

    cut_off = cut_off_runs()
    print_cut_off(cut_off)  # first: there may be no sweep
    sweep, children = read_sweep(sweep_id or latest_sweep())
    progress = sweep_progress(sweep, children, read_definition(sweep.run_id))
    folder = sweep_folder(sweep.run_id)
    process = holder(folder) if folder.exists() else None
    now = read_snapshot(folder) if process else None
    if as_json:
        dead = [{"run_id": each.run_id, "stage": each.stage, "next_step": next_step(each)} for each in cut_off]
        here = {"process": process, "resumable": folder.exists(), "cut_off": dead}
        _print_json(progress.model_dump(mode="json") | here | (now.model_dump(mode="json") if now else {}))
    else:
        print_progress(progress, process, folder.exists(), now)


@app.command()
def leaderboard(
    sweep_id: Annotated[str | None, typer.Argument(metavar="[SWEEP]", help="The latest by default.")] = None,
    as_json: Json = False,
) -> None:
    """A sweep's trials and finals, the best on validation first."""
    from experiments.cli.terminal import print_leaderboard
    from reports.queries import leaderboard, records

    found = leaderboard(sweep_id)
    if as_json:
        _print_json(records(found))
    else:
        print_leaderboard(found)


@app.command()
def compare(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run, trial or final; `harness ui` shows them.")],
    other_id: Annotated[str, typer.Argument(metavar="RUN", help="The other.")],
    as_json: Json = False,
) -> None:
    """Where two runs differ: config, outcome, last metrics."""
    from experiments.cli.terminal import print_differences
    from reports.queries import compare

    found = compare(run_id, other_id)
    if as_json:
        _print_json(found.to_dict(orient="index"))
    else:
        print_differences(found)


@app.command()
def export(
    sweep_id: Annotated[str | None, typer.Argument(metavar="[SWEEP]", help="The latest by default.")] = None,
    file_format: Annotated[str, typer.Option("--format", metavar="NAME", help=", ".join(FORMATS))] = "csv",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="By default stdout.")] = None,
) -> None:
    """All of a sweep as one table, a row per run and epoch."""
    if file_format not in FORMATS:
        raise unknown("format", file_format, FORMATS, "choose one with --format")
    if file_format == "parquet" and out is None:
        raise BadInputError(
            "format 'parquet' is not text: csv and json are allowed on stdout; name a file with --out"
        )
    from reports.queries import export, table_bytes

    content = table_bytes(export(sweep_id), file_format)
    if out is None:
        typer.echo(content.decode(), nl=False)
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise BadInputError(
            f"file {str(out)!r} can't be written ({error.strerror}): name another with --out"
        ) from None


@app.command()
def report(
    run_id: Annotated[
        str | None, typer.Argument(metavar="[SWEEP]", help="Or a single run; the latest sweep by default.")
    ] = None,
    other_id: Annotated[str | None, typer.Argument(metavar="[OTHER]", help="A second one to compare with.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="For the page, figures and tables.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The report of a sweep or single run, or of two of them beside each other, from MLflow alone."""
    _keep_caches_here()
    if run_id and other_id:
        from reports.comparing import write_comparison

        page = str(write_comparison(run_id, other_id, out).resolve())
    else:
        from reports.page import write_report

        page = str(write_report(run_id, out)[0].resolve())
    if as_json:
        _print_json({"report": page})
    else:
        typer.echo(page)


@app.command()
def predict(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="A tracked run; `harness ui` shows them.")],
    index: Annotated[int | None, typer.Option(metavar="N", help="Which image of the test set; 0 by default.")] = None,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="A picture of your own instead.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The chapter's last step: an image, the run's prediction and the ground truth."""
    if index is not None and image is not None:
        raise BadInputError(f"--index {index} and --image {str(image)!r}: one of the two is allowed; leave one out")
    _keep_caches_here()
    from harness.paths import WORK_FOLDER, writable_folder
    from harness.predict import predict_image_file, predict_test_image
    from reports.figures.prediction import prediction
    from reports.figures.style import render

    result = predict_image_file(run_id, image) if image else predict_test_image(run_id, index or 0, data_dir)
    seen = result.class_names[result.prediction]
    truth = "" if result.ground_truth is None else f", ground truth {result.class_names[result.ground_truth]}"
    verdict = f"prediction {seen} ({result.probabilities[result.prediction]:.1%}){truth}"
    figure = prediction(result.pixels, result.probabilities, result.class_names, verdict)
    folder = writable_folder(WORK_FOLDER / "predictions", "run in another folder")
    name = image.stem if image else f"test-{index or 0}"
    picture = (folder / f"{run_id[:8]}-{name}.png").resolve()
    picture.write_bytes(render(figure, "png", salt=name))
    if as_json:
        _print_json(result.model_dump(mode="json") | {"picture": str(picture)})
        return
    for row in result.pixels[::2]:  # a character is twice as high as it is wide
        typer.echo("".join(" .:-=+*#%@"[pixel * 9 // 255] for pixel in row))
    say(f"{result.image}: {verdict}")
    for name, probability in zip(result.class_names, result.probabilities, strict=True):
        typer.echo(f"{name:<12} {probability:6.1%} {'█' * round(probability * 40)}".rstrip())
    say(f"picture: {picture}")


@app.command()
def reproduce(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="A run, trial or final; `harness ui` shows them.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Run a tracked run again from its own record and compare every epoch; exit 1 at the first difference."""
    _keep_caches_here()
    from experiments.cli.terminal import epoch_line, print_reproduction
    from harness.reproduce import reproduce as run_again

    result = run_again(run_id, data_dir, on_epoch=lambda metrics: typer.echo(epoch_line(metrics), err=True))
    if as_json:
        _print_json(result.model_dump(mode="json") | {"first_difference": result.first_difference})
    else:
        print_reproduction(result)
    if result.first_difference is not None:
        raise typer.Exit(1)


@app.command()
def register(
    name: Annotated[str, typer.Option("--name", help="Of the registered model; made where there is none.")],
    run_id: Annotated[
        str | None, typer.Argument(metavar="[SWEEP_OR_RUN]", help="The latest sweep by default, whose winner it is.")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put a sweep's winner, or the model of a run or final, into MLflow's model registry."""
    from harness.export import register_model
    from harness.tracking.read import latest_sweep

    registered = register_model(run_id or latest_sweep(), name, data_dir)
    if as_json:
        _print_json(registered.model_dump(mode="json"))
    else:
        typer.echo(f"{registered.name}, version {registered.version}: {registered.uri}")


@app.command()
def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """What a run here would use, and whether anything is wrong."""
    from experiments.cli.steps import next_step, with_flags
    from experiments.cli.terminal import print_findings
    from harness.doctor import diagnose

    flags = _flags()
    findings = [
        each.model_copy(update={"advice": each.advice and with_flags(each.advice, flags)})
        for each in diagnose(next_step, data_dir)
    ]
    if as_json:
        _print_json([finding.model_dump(mode="json") for finding in findings])
    else:
        print_findings(findings)
    if any(finding.advice for finding in findings):
        raise typer.Exit(1)


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, metavar="N")] = 5000) -> None:
    """The MLflow UI on this project's store, on 127.0.0.1."""
    import socket

    from harness.tracking.charts import latest_charts
    from harness.tracking.connection import tracking_uri

    if tracking_uri().startswith("http"):
        raise BadInputError(
            f"tracking server {tracking_uri()!r} has a UI of its own at that address: a project's or database's "
            "store is allowed here; open that address, or unset MLFLOW_TRACKING_URI"
        )
    with socket.socket() as probe:
        if sys.platform != "win32":  # where it would find a port free that another listens on
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadInputError(
                f"--port {port} can't be used ({error.strerror}): a free port is allowed; name another"
            ) from None
    charts = latest_charts()
    typer.echo(f"http://127.0.0.1:{port}", err=True)
    if charts:
        typer.echo(f"http://127.0.0.1:{port}/{charts}  the latest sweep's finals as charts, by optimizer", err=True)
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",  # a user's file in this folder may be called as one of Python's modules is
        "MLFLOW_BACKEND_STORE_URI": tracking_uri(),  # not an argument: a password in it is for nobody to see
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    os.execve(sys.executable, [*command, "--workers", "1"], environment)


def _keep_caches_here() -> None:
    """Have matplotlib and torch keep their caches in this folder, not in the user's home or a temporary one."""
    from harness.paths import WORK_FOLDER

    os.environ.setdefault("MPLCONFIGDIR", str(WORK_FOLDER.absolute() / "matplotlib"))
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(WORK_FOLDER.absolute() / "torchinductor"))


def _resolve(
    experiment: str, seed: str | None, epochs: str | None, device: str, settings: list[str], fast: bool
) -> "RunConfig":
    """The experiment's config with the command line's settings, on a device that is there."""
    from experiments import catalog
    from harness.config import with_settings

    base = catalog.load_run(experiment)
    texts = dict(_split_setting(setting) for setting in settings)
    texts |= {key: text for key, text in (("seed", seed), ("epochs", epochs)) if text is not None}
    values = _parse_settings(base, texts)
    config = with_settings(base, values | ({} if "device" in values else {"device": "cpu"}))
    from harness.training.devices import fast_settings, resolve_device

    resolved = resolve_device(str(values.get("device", device)))
    profile = {key: value for key, value in fast_settings(resolved).items() if key not in values} if fast else {}
    return with_settings(config, {"device": resolved} | profile)


def _command_of(experiment: str, trials: int | None, sampler: str | None, flags: dict[str, bool]) -> str:
    """The command of a sweep, with what decides what it does; how it does it may be another on the next day."""
    options = {"trials": None if trials is None else str(trials), "sampler": sampler}
    words = [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]
    words += [f"--{name}" for name, said in flags.items() if said]
    return shlex.join(["harness", "sweep", experiment, *words])


def _split_setting(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise BadInputError(f"--set {text!r} has no '=': KEY=VALUE is allowed, such as --set optimizer.lr=0.1")
    return key, value


def _parse_settings(base: "RunConfig", texts: dict[str, str]) -> dict[str, Any]:
    """The values by dotted key. What an argument of a user's own takes as text alone stays text, such as 32."""
    from harness.config import OWN
    from harness.config.plugins import admits

    values = {key: _parse_value(text) for key, text in texts.items()}
    for key, text in texts.items():
        part, _, argument = key.partition(".")
        name = str(values.get(f"{part}.name", getattr(getattr(base, part, None), "name", None)))
        own = part in OWN and ":" in name
        if own and not admits(name, argument, values[key]) and admits(name, argument, text):
            values[key] = text
    return values


def _parse_value(text: str) -> Any:  # noqa: ANN401
    """A literal of JSON or of Python (0.1, true, False, None, [0.1, 0.25]), else the text itself (adam)."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def _print_plan(
    name: str,
    definition: "SweepDefinition",
    workplace: "Callable[[], AbstractContextManager[WorkerPool]]",
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
            _stop("harness: a worker died; the system's log may say why (out of memory, for example)", 1)
    if as_json:
        more = {"total_epochs": definition.total_epochs, "workers": pool.workers, "seconds": seconds}
        _print_json(definition.model_dump(mode="json") | more)
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
        say("harness: finishing the epochs in flight; again ends at once", err=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def _print_json(value: Any) -> None:  # noqa: ANN401
    typer.echo(json.dumps(value, indent=2))


def main() -> None:
    """Entry point: failed work is one line and exit code 1, bad input 2, an interrupt or SIGTERM 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.path.append(str(Path.cwd()))  # a user's own modules, as `python -m` has it; last, so that it hides nothing
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # in a file or pipe the system's encoding may lack what is printed
            stream.reconfigure(encoding="utf-8")
    try:
        code = app(standalone_mode=False, prog_name="harness")
    except RefusedError as error:
        from experiments.cli.steps import with_flags

        _stop(f"harness: {with_flags(str(error), _flags())}", error.exit_code)
    except WorkFailedError as error:
        _stop(f"harness: {error}; what was done before is kept", 1)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the command line's parser
            if not error.format_message():  # no command at all: the help is printed
                sys.exit(2)
            _stop(_usage(error), 2)
        if isinstance(error, OSError) and error.errno:
            _stop(f"harness: {error}; what was done before is kept", 1)
        from harness.tracking.connection import is_away

        if is_away(error):
            _stop(f"harness: the tracking store is away ({type(error).__name__}); run again when it is back", 1)
        raise
    if code == INTERRUPTED:
        _stop("harness: interrupted; every finished epoch is kept", code)
    sys.exit(code or 0)


def _flags() -> dict[str, str]:
    """The flag of each option by the name of its parameter, which is the same one in every command."""
    commands = getattr(typer.main.get_command(app), "commands", {}).values()
    return {
        each.name: each.opts[0] for command in commands for each in command.params if each.opts[0].startswith("--")
    }


def _usage(error: Any) -> str:  # noqa: ANN401
    """One line of an error of the command line's parser."""
    command = error.ctx.command_path if error.ctx else "harness"
    message = error.format_message()
    separator = " " if message.endswith("?") else "; "  # it may end with a suggestion
    return f"harness: {message.removesuffix('.')}{separator}`{command} --help` shows what is allowed"


def _stop(message: str, code: int) -> NoReturn:
    say(without_password(message), err=True)
    sys.exit(code)
