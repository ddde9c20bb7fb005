"""The commands that show the MLflow UI and register a model."""

import os
import sys
from typing import Annotated

import typer

from experiments.cli.options import DataDir, Json
from experiments.cli.prose import print_json
from harness.errors import BadInputError


def register(
    name: Annotated[
        str,
        typer.Option("--name", metavar="NAME", help="The registered model, made where there is none; needed."),
    ],
    run_id: Annotated[
        str | None, typer.Argument(metavar="SWEEP_OR_RUN", help="The latest sweep by default, whose winner it is.")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put a model into MLflow's registry.

    The winner of a sweep, or the model of a run.
    """
    from harness.export import register_model
    from harness.tracking.read import latest_sweep

    registered = register_model(run_id or latest_sweep(), name, data_dir)
    if as_json:
        print_json(registered.model_dump(mode="json"))
    else:
        typer.echo(f"{registered.name}, version {registered.version}: {registered.uri}")


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="The port on 127.0.0.1.")] = 5000,
) -> None:
    """Serve the MLflow UI, on 127.0.0.1.

    It shows this folder's runs, and its first lines name the pages of the latest sweep.
    """
    import socket

    from harness.tracking.charts import home_route, latest_routes
    from harness.tracking.connection import tracking_uri

    if tracking_uri().startswith("http"):
        raise BadInputError(
            "tracking server",
            tracking_uri(),
            "has a UI of its own at that address",
            expected="the store of a project or a database",
            next_step="open that address, or unset MLFLOW_TRACKING_URI",
        )
    with socket.socket() as probe:
        if sys.platform != "win32":  # where it would find a port free that another listens on
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadInputError(
                "--port", port, f"can't be used ({error.strerror})", expected="a free port", next_step="name another"
            ) from None
    address = f"http://127.0.0.1:{port}"
    latest = {f"of the latest sweep {shown}": route for shown, route in latest_routes().items()}
    pages = {"all experiments, in which `Model training` at the top left is to be chosen once": home_route()} | latest
    for shown, route in pages.items():
        typer.echo(f"{address}/{route}  {shown}", err=True)
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",  # a user's file in this folder may be called as one of Python's modules is
        "MLFLOW_BACKEND_STORE_URI": tracking_uri(),  # not an argument: a password in it is for nobody to see
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    os.execve(sys.executable, [*command, "--workers", "1"], environment)
