"""Change some of MLflow's defaults during this project's own calls to MLflow, and only then."""

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Mapping
from threading import Lock
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from mlflow import MlflowClient

TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
# defaults of MLflow's environment variables; a value that is set in the environment still wins
VARIABLES = {
    # a retry after a lost answer would start a run twice; `buffered.Outbox` checks the store before it retries
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": 0,
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": False,
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": True,  # stdout is for the result
}
# the least levels that MLflow's loggers print; the first prints the traceback of an error that MLflow raises as well
LEVELS = {
    "mlflow.store.db.utils": logging.CRITICAL,
    "mlflow.system_metrics.system_metrics_monitor": logging.WARNING,
}


def import_mlflow() -> None:
    """Import MLflow with its telemetry off, unless the environment or an earlier import has decided otherwise."""
    if "mlflow" in sys.modules or TELEMETRY in os.environ:
        return
    os.environ[TELEMETRY] = "true"
    try:
        import mlflow  # noqa: F401
    finally:
        del os.environ[TELEMETRY]


def import_pytorch_flavour() -> ModuleType:
    """Import `mlflow.pytorch` and restore the root logger, which the import changes where Lightning is installed."""
    import_mlflow()
    level, handlers = logging.root.level, logging.root.handlers[:]
    try:
        import mlflow.pytorch
    finally:
        logging.root.setLevel(level)
        logging.root.handlers[:] = handlers
    return mlflow.pytorch


def _has_level(level: int, record: logging.LogRecord) -> bool:
    return record.levelno >= level


# filters, since setting a level empties the caches of all loggers, twice for each call to MLflow
FILTERS = {name: functools.partial(_has_level, level) for name, level in LEVELS.items()}


class OurDefaults(contextlib.ContextDecorator):
    """Give MLflow this project's defaults and quiet loggers within a block, until the last thread leaves it.

    The defaults change in this process only; the environment, which child processes inherit, stays as it is.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._within = 0
        self._theirs: dict[str, object] = {}

    def __enter__(self) -> None:
        import_mlflow()
        with self._lock:
            if self._within == 0:
                self._theirs = _exchange(VARIABLES)
                for name, printed in FILTERS.items():
                    logging.getLogger(name).addFilter(printed)
            self._within += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._within -= 1
            if self._within == 0:
                _exchange(self._theirs)
                for name, printed in FILTERS.items():
                    logging.getLogger(name).removeFilter(printed)


our_defaults = OurDefaults()


def _exchange(variables: Mapping[str, object]) -> dict[str, object]:
    """Set these defaults, and return the previous ones."""
    from mlflow import environment_variables

    before = {name: getattr(environment_variables, name).default for name in variables}
    for name, default in variables.items():
        getattr(environment_variables, name).default = default
    return before


class _ClientOfOurs:
    """Make each call of MLflow's client with this project's defaults."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def __getattr__(self, name: str) -> object:
        found = getattr(self._client, name)
        return our_defaults(found) if callable(found) else found


def with_our_defaults(client: "MlflowClient") -> "MlflowClient":
    """Return a wrapper of the client that makes each call with this project's defaults."""
    return cast("MlflowClient", _ClientOfOurs(client))
