"""Read all metric values of many runs at once, from MLflow's database or through its server."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

from harness.tracking.connection import kind_of
from harness.tracking.defaults import our_defaults

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

AT_ONCE = 50  # runs per request: their ids must fit into a URL
MOST_POINTS = 25_000  # values that a server returns per answer; it drops the others silently
Point = tuple[str, str, int, float]  # run id, name of the metric, step, value
P = ParamSpec("P")


def points(client: "MlflowClient", runs: "Sequence[Run]", left_out: Collection[str] = ()) -> Iterator[Point]:
    """Yield all values of the runs' metrics, but for the metrics named in `left_out`.

    The values of a run and metric come in the order of MLflow's own history. MLflow's client returns the history of
    one run and metric at a time, which takes minutes for thousands of runs. So a database is queried directly, and a
    server through the request that MLflow's UI makes; if either fails, the client is used.
    """
    uri = client.tracking_uri
    for first in range(0, len(runs), AT_ONCE):
        batch = runs[first : first + AT_ONCE]
        of_batch = ask_privately(_points_in_database, uri, [run.info.run_id for run in batch], left_out)
        if of_batch is not None:
            yield from of_batch
            continue
        for name in sorted({name for run in batch for name in run.data.metrics}.difference(left_out)):
            run_ids = [run.info.run_id for run in batch if name in run.data.metrics]
            of_name = ask_privately(_points_from_server, uri, run_ids, name)
            yield from _points_one_by_one(client, run_ids, name) if of_name is None else of_name


def ask_privately(
    ask: Callable[P, list[Point] | None], /, *arguments: P.args, **named: P.kwargs
) -> list[Point] | None:
    """Return the result of `ask`, which uses internal parts of MLflow; None if it fails.

    Any later version of MLflow may remove, rename or change these parts. An unavailable store gives None too; the
    caller then asks MLflow's client, which raises the error.
    """
    import sqlalchemy
    from mlflow.exceptions import MlflowException

    changed = (ImportError, AttributeError, LookupError, TypeError, ValueError, sqlalchemy.exc.SQLAlchemyError)
    try:
        return our_defaults(ask)(*arguments, **named)
    except (*changed, MlflowException):
        return None


def _points_one_by_one(client: "MlflowClient", run_ids: Sequence[str], name: str) -> Iterator[Point]:
    for run_id in run_ids:
        for point in client.get_metric_history(run_id, name):
            yield run_id, name, point.step, point.value


def _points_in_database(uri: str, run_ids: Sequence[str], left_out: Collection[str]) -> list[Point] | None:
    """Return the values from MLflow's table; None if the store is no database.

    Selected columns are read, because MLflow's own row objects take ten times as long.
    """
    import sqlalchemy
    from mlflow.store.db.db_types import DATABASE_ENGINES
    from mlflow.store.tracking.dbmodels import models

    if kind_of(uri) not in DATABASE_ENGINES:
        return None
    row = models.SqlMetric
    query: sqlalchemy.Select[*tuple[Any, ...]] = (
        sqlalchemy.select(row.run_uuid, row.key, row.step, row.value, row.is_nan)
        .where(row.run_uuid.in_(run_ids), row.key.notin_(left_out))
        .order_by(row.timestamp, row.step, row.value)
    )
    with sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool).connect() as connection:
        rows = connection.execute(query).all()
    return [(run_id, name, step, math.nan if is_nan else value) for run_id, name, step, value, is_nan in rows]


def _points_from_server(uri: str, run_ids: Sequence[str], name: str) -> list[Point] | None:
    """Return the runs' values of a metric; None if the store is no server, or its answer may be incomplete."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request
    from mlflow.utils.uri import is_http_uri

    if not is_http_uri(uri):
        return None
    response = http_request(
        get_default_host_creds(uri),
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
        "GET",
        params={"run_id": run_ids, "metric_key": name, "max_results": MOST_POINTS},
        raise_on_status=False,
    )
    if response.status_code != 200:
        return None
    found = response.json()["metrics"]
    if len(found) >= MOST_POINTS:
        return None
    return [(each["run_id"], name, each["step"], each["value"]) for each in found]
