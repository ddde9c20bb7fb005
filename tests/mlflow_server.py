"""`mlflow`, whose servers serve from the process that it is called in. Run as a process of its own."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock


def main() -> None:
    import mlflow.server
    from mlflow.cli import cli

    with mock.patch.object(mlflow.server, "_exec_cmd", _serve):
        cli(sys.argv[1:])


def _serve(command: Sequence[str], extra_env: Mapping[str, str], **_: Any) -> None:
    """Run uvicorn in this process instead of the command that MLflow would start."""
    import uvicorn

    os.environ.update(extra_env)
    uvicorn.main(command[command.index("uvicorn") + 1 :])
