"""MLflow's defaults as this project needs them, for the time of its own calls and nobody else's."""

import contextlib
import logging
import os
import sys
from collections.abc import Mapping
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from mlflow import MlflowClient

TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
# of MLflow's variables; what a person has set in the environment counts all the same
VARIABLES = {
    # a request that is sent again after its answer was lost would start a run twice; the buffered writer looks first
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": 0,
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": False,
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": True,  # stdout is for the result
}
# of MLflow's loggers: the first logs the traceback of an error that it raises
LEVELS = {"mlflow.store.db.utils": logging.CRITICAL, "mlflow.system_metrics": logging.WARNING}


def import_mlflow() -> None:
    """Import MLflow, which decides then whether it tells its makers how it is used: not on this project's account."""
    if "mlflow" in sys.modules or TELEMETRY in os.environ:
        return
    os.environ[TELEMETRY] = "true"
    try:
        import mlflow  # noqa: F401
    finally:
        del os.environ[TELEMETRY]


class OurDefaults(contextlib.ContextDecorator):
    """Within it, MLflow has these defaults and levels; when the last thread has left it, MLflow's own again.

    They are those of this process: a child inherits the environment, which stays as it is.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._within = 0
        self._theirs: tuple[dict[str, object], dict[str, int]] = {}, {}

    def __enter__(self) -> None:
        import_mlflow()
        with self._lock:
            if self._within == 0:
                self._theirs = _exchange(VARIABLES, LEVELS)
            self._within += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._within -= 1
            if self._within == 0:
                _exchange(*self._theirs)


our_defaults = OurDefaults()


def _exchange(variables: Mapping[str, object], levels: Mapping[str, int]) -> tuple[dict[str, object], dict[str, int]]:
    """Set these, and return what was set before."""
    from mlflow import environment_variables

    before = {name: getattr(environment_variables, name).default for name in variables}
    levels_before = {name: logging.getLogger(name).level for name in levels}
    for name, default in variables.items():
        getattr(environment_variables, name).default = default
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    return before, levels_before


class _ClientOfOurs:
    """MLflow's client, each of whose calls is made with these defaults."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def __getattr__(self, name: str) -> object:
        found = getattr(self._client, name)
        return our_defaults(found) if callable(found) else found


def with_our_defaults(client: "MlflowClient") -> "MlflowClient":
    """Return the client, each of whose calls is made with these defaults."""
    return cast("MlflowClient", _ClientOfOurs(client))
