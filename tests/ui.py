"""The `harness` command, whose `ui` serves from the process that it is called in. Run as a process of its own."""

import os
import sys
from collections.abc import Mapping, Sequence
from unittest import mock

from experiments.cli import app as cli
from tests import mlflow_server


def main() -> None:
    with mock.patch.object(os, "execve", _stay):
        cli.main()


def _stay(_: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run MLflow in this process instead of the command that would be started."""
    os.environ.update(environment)
    sys.argv = command[command.index("mlflow") :]
    mlflow_server.main()
