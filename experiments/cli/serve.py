"""Define the commands that serve the MLflow UI and register a model."""

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
        typer.Option("--name", metavar="NAME", help="The name of the registered model (required)."),
    ],
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="SWEEP_OR_RUN", help="The id of a sweep or run; by default the latest sweep."),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Register a model in MLflow.

    It is the winner of a sweep, or the model of a run.
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
    """Serve the MLflow UI on 127.0.0.1.

    The UI shows this folder's runs; the command first prints the addresses of the latest sweep's pages.
    """
    import socket

    from harness.tracking.charts import home_route, latest_routes
    from harness.tracking.connection import connect_to_read, is_given, tracking_uri

    if tracking_uri().startswith("http"):
        raise BadInputError(
            "tracking server",
            tracking_uri(),
            "already serves its own UI at this address",
            expected="a local store or a database",
            next_step="open the address in a browser, or unset MLFLOW_TRACKING_URI",
        )
    if is_given():  # most likely a mistyped address; in this folder, the UI may be started before the first run
        connect_to_read()
    with socket.socket() as probe:
        if sys.platform != "win32":  # on Windows, the option would allow a port that another process listens on
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadInputError(
                "--port",
                port,
                f"can't be used ({error.strerror})",
                expected="a free port",
                next_step="choose another port",
            ) from None
    address = f"http://127.0.0.1:{port}"
    latest = {f"of the latest sweep {shown}": route for shown, route in latest_routes().items()}
    pages = {"all experiments; choose `Model training` at the top left once": home_route()} | latest
    for shown, route in pages.items():
        typer.echo(f"{address}/{route}  {shown}", err=True)
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",  # a user's file in this folder may have the name of one of Python's modules
        "MLFLOW_BACKEND_STORE_URI": tracking_uri(),  # not an argument: other users could read a password in it
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    os.execve(sys.executable, [*command, "--workers", "1"], environment)
