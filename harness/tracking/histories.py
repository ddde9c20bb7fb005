"""All values of the metrics of many runs, as MLflow's own pages and database have them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from harness.tracking.connection import kind_of

AT_ONCE = 50  # runs whose metrics are asked for together: their ids must fit into an address
MOST_POINTS = 25_000  # that a server gives in one answer; it leaves out the others without a word
Point = tuple[str, str, int, float]  # run id, name of the metric, step, value


def points(client: Any, runs: Sequence[Any]) -> Iterator[Point]:  # noqa: ANN401
    """All values of the runs' metrics, those of a run and metric in the order of MLflow's own history.

    MLflow's client gives the history of one run and metric at a time, which for thousands of runs takes minutes. So a
    database is asked itself, and a server as its own pages ask it.
    """
    from mlflow.store.db.db_types import DATABASE_ENGINES

    batches = [runs[first : first + AT_ONCE] for first in range(0, len(runs), AT_ONCE)]
    if kind_of(client.tracking_uri) in DATABASE_ENGINES:
        yield from _points_in_database(client.tracking_uri, batches)
        return
    for batch in batches:
        for name in sorted({name for run in batch for name in run.data.metrics}):
            run_ids = [run.info.run_id for run in batch if name in run.data.metrics]
            points = _points_from_server(client.tracking_uri, run_ids, name)
            if points is None:
                histories = ((run_id, client.get_metric_history(run_id, name)) for run_id in run_ids)
                points = [(run_id, name, each.step, each.value) for run_id, history in histories for each in history]
            yield from points


def _points_in_database(uri: str, batches: Iterable[Sequence[Any]]) -> Iterator[Point]:
    """The same from MLflow's table: a row of it made into MLflow's objects would take ten times as long."""
    import sqlalchemy
    from mlflow.store.tracking.dbmodels.models import SqlMetric

    query = sqlalchemy.select(SqlMetric.run_uuid, SqlMetric.key, SqlMetric.step, SqlMetric.value, SqlMetric.is_nan)
    query = query.order_by(SqlMetric.timestamp, SqlMetric.step, SqlMetric.value)
    with sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool).connect() as connection:
        for batch in batches:
            of_batch = query.where(SqlMetric.run_uuid.in_([run.info.run_id for run in batch]))
            for run_id, name, step, value, is_nan in connection.execute(of_batch):
                yield run_id, name, step, math.nan if is_nan else value


def _points_from_server(uri: str, run_ids: Sequence[str], name: str) -> list[Point] | None:
    """The runs' values of a metric in one answer; None where there is no such server, or its answer may lack some."""
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
