"""The `harness` command: parses, delegates, prints. Commands import what they need, so that help is instant."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import BadInputError

if TYPE_CHECKING:
    from harness.config import RunConfig

app = typer.Typer(
    name="harness",
    help="Which optimizer, learning rate, batch size and dropout should I train this network with?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="A folder with the dataset in torchvision's layout.")
]
CONFIG_KEYS = (
    "dataset.name, dataset.train_size, dataset.validation_size, dataset.split_seed, model.activation, "
    "model.leaky_relu_slope, model.dropout, optimizer.name, optimizer.lr and the optimizer's other "
    "hyperparameters, batch_size, evaluation_batch_size, epochs, seed, device, threads, precision, memory_format"
)


@app.command("list")
def list_experiments(as_json: Json = False) -> None:
    """The declared experiments, a line each with kind, cost and what it shows."""
    from experiments import catalog

    experiments = {name: catalog.load(name) for name in catalog.names()}
    if as_json:
        _print_json(
            [
                {"name": name, "kind": each.kind, "cost": each.cost, "shows": each.shows}
                for name, each in experiments.items()
            ]
        )
        return
    for name, each in experiments.items():
        typer.echo(f"{name:<12} {each.kind:<6} {each.cost}: {each.shows}")


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="A declared run; `harness list` shows them.")],
    seed: Annotated[str | None, typer.Option(help="0 to 2**64 - 1.")] = None,
    epochs: Annotated[str | None, typer.Option(help="1 or more.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help=f"KEY=VALUE, as often as you like. Keys: {CONFIG_KEYS}.")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """One run of a declared experiment, tracked in MLflow."""
    config = _resolve(experiment, seed, epochs, device, settings or [])
    from harness.run import track_run
    from harness.tracking import MlflowTracker

    record = track_run(
        config,
        MlflowTracker(),
        experiment,
        data_dir,
        on_epoch=lambda metrics: typer.echo(_epoch_line(metrics, config.epochs), err=True),
    )
    if as_json:
        _print_json(record.model_dump(mode="json"))
    else:
        typer.echo(f"{record.outcome}: run {record.run_id}, state {record.state_hash[:12]}")
    if record.divergence is not None:
        where = record.divergence
        typer.echo(
            f"run {record.run_id} diverged: the {where.split} loss is not finite at epoch {where.epoch}, "
            f"step {where.step}; try a smaller optimizer.lr",
            err=True,
        )
        raise typer.Exit(1)


@app.command()
def sweep(
    experiment: Annotated[str, typer.Argument(help="A declared sweep; `harness list` shows them.")],
    trials: Annotated[int | None, typer.Option(min=1, help="Trials per optimizer.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Slices at a time; one per core by default.")] = None,
    executor: Annotated[str, typer.Option(help="inline or local.")] = "local",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """A declared sweep: every optimizer under the same budget, then the winners on fresh seeds."""
    from experiments import catalog
    from harness.config import validated
    from harness.errors import unknown
    from harness.tracking import MlflowTracker
    from studies.executors import open_executor
    from studies.sweep import Job, SweepDefinition, run_sweep

    definition = catalog.load_sweep(experiment)
    if trials is not None:
        definition = validated(SweepDefinition, definition.model_dump() | {"trials": trials})
    if executor not in ("inline", "local"):
        raise unknown("executor", executor, ("inline", "local"), "choose one with --executor")
    count = 1 if executor == "inline" else workers or os.cpu_count() or 1
    done = 0

    def on_epoch(job: Job, metrics: Any) -> None:  # noqa: ANN401
        nonlocal done
        done += 1
        line = _epoch_line(metrics, job.config.epochs)
        typer.echo(f"[{done}/{definition.total_epochs}] {job.stage} {job.optimizer} {job.number}  {line}", err=True)

    tracker = MlflowTracker()
    with open_executor(executor, count) as pool:
        result = run_sweep(experiment, definition, tracker, pool, count, data_dir, on_epoch)
    from reports.page import write_report

    page = write_report(result.sweep_id).resolve()
    if as_json:
        _print_json(result.model_dump(mode="json") | {"report": str(page)})
        return
    for name, each in result.optimizers.items():
        mean = "no final completed" if each.mean is None else f"{each.mean:.2%}"
        typer.echo(f"{name:<10} {mean} mean test accuracy over {len(each.finals)} seeds")
    typer.echo(f"report: {page}")


@app.command()
def report(
    sweep_id: Annotated[str | None, typer.Argument(metavar="[SWEEP]", help="The latest by default.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the page, figures and tables.")] = None,
    as_json: Json = False,
) -> None:
    """The report of a sweep, from MLflow alone."""
    from reports.page import write_report

    page = str(write_report(sweep_id, out).resolve())
    if as_json:
        _print_json({"report": page})
    else:
        typer.echo(page)


@app.command()
def predict(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="A tracked run; `harness ui` shows them.")],
    index: Annotated[int, typer.Option(help="Which image of the test set.")] = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The chapter's last step: an image, the run's prediction and the ground truth."""
    from harness.prediction import predict_test_image

    result = predict_test_image(run_id, index, data_dir)
    if as_json:
        _print_json(result.model_dump(mode="json"))
        return
    for row in result.pixels[::2]:  # a character is twice as high as it is wide
        typer.echo("".join(" .:-=+*#%@"[pixel * 9 // 255] for pixel in row))
    sure = result.probabilities[result.prediction]
    typer.echo(f"prediction {result.prediction} ({sure:.1%}), ground truth {result.ground_truth}")


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535)] = 5000) -> None:
    """The MLflow UI on this project's store, on 127.0.0.1."""
    from harness.tracking import connect, tracking_uri

    connect(tracking_uri())
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    os.execve(sys.executable, [*command, "--workers", "1", "--backend-store-uri", tracking_uri()], environment)


def _resolve(experiment: str, seed: str | None, epochs: str | None, device: str, settings: list[str]) -> "RunConfig":
    """The experiment's config with the command line's settings, on a device that is there."""
    from experiments import catalog
    from harness.config import with_settings

    base = catalog.load_run(experiment)
    values = dict(_parse_setting(setting) for setting in settings)
    values |= {key: _parse_value(text) for key, text in (("seed", seed), ("epochs", epochs)) if text is not None}
    config = with_settings(base, values | ({} if "device" in values else {"device": "cpu"}))
    from harness.reproducibility import resolve_device

    return with_settings(config, {"device": resolve_device(str(values.get("device", device)))})


def _parse_setting(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise BadInputError(f"--set {text!r} has no '=': KEY=VALUE is allowed, such as --set optimizer.lr=0.1")
    return key, _parse_value(value)


def _parse_value(text: str) -> Any:  # noqa: ANN401
    """JSON where it is JSON (0.1, true, [0.1, 0.25]), else the text itself (adam)."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _epoch_line(metrics: Any, epochs: int) -> str:  # noqa: ANN401
    accuracy = metrics.validation_accuracy if metrics.test_accuracy is None else metrics.test_accuracy
    split = "validation" if metrics.test_accuracy is None else "test"
    return (
        f"epoch {metrics.epoch}/{epochs}  train loss {metrics.train_loss:.4f}  "
        f"{split} accuracy {accuracy:.4f}  {metrics.train_seconds:.1f} s"
    )


def _print_json(value: Any) -> None:  # noqa: ANN401
    typer.echo(json.dumps(value, indent=2))


def main() -> None:
    """Entry point: bad input is one line and exit code 2, an interrupt or SIGTERM 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except BadInputError as error:
        _stop(f"harness: {error}", 2)
    except KeyboardInterrupt:
        _stop("harness: interrupted; every finished epoch is in MLflow", 130)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the command line's parser
            _stop(f"harness: {error.format_message()}; `harness --help` shows what is allowed", 2)
        raise
    sys.exit(code or 0)


def _stop(message: str, code: int) -> None:
    typer.echo(message, err=True)
    sys.exit(code)
