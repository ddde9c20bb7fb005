"""Define the views of a sweep in MLflow's UI: charts of its finals, coloured by optimizer, and a table of runs."""

from typing import Any

from harness.records import METRIC_NAMES, POINT_LOSS, WINDOW_LOSS, Stage, Tag
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.read import condition, every_sweep

# names of MLflow's UI, which stores each shared view in a tag of the experiment
VIEW = "mlflow.sharedViewState."
SHARED = "viewStateShareKey"
# without it, the UI shows a first visitor its mode for language models
TRAINING = "workflowType=machine_learning"
TABLE = ".runs"  # the key of a sweep's charts is the sweep's id; the key of its table has this suffix
SECTION = "Finals"
VALIDATED, TESTED = METRIC_NAMES["validation_accuracy"], METRIC_NAMES["test_accuracy"]
# metric and scale of the first charts. Losses fall by powers of ten: a logarithmic scale shows the end as clearly as
# the beginning. The accuracies are from whole epochs, so that the UI's automatic scale zooms in on them
CARDS = ((WINDOW_LOSS, "log"), (POINT_LOSS, "log"), (VALIDATED, "linear"), (TESTED, "linear"))
# columns of the table, between the run's name and the time of its creation, which the UI always shows
COLUMNS = (
    f"tags.`{Tag.STAGE}`",
    f"tags.`{Tag.OPTIMIZER}`",
    f"metrics.`{TESTED}`",
    f"metrics.`{VALIDATED}`",
    "params.`optimizer.lr`",
    "params.`batch_size`",
)


def home_route() -> str:
    """Return the route of the UI's page of all experiments."""
    return f"#/experiments?{TRAINING}"


def charts_route(experiment_id: str, sweep_id: str) -> str:
    """Return the route of the UI's page with a sweep's finals as charts."""
    return f"#/experiments/{experiment_id}/runs?{TRAINING}&compareRunsMode=CHART&{SHARED}={sweep_id}"


def table_route(experiment_id: str, sweep_id: str) -> str:
    """Return the route of the UI's page with a sweep's trials and finals as a table."""
    return f"#/experiments/{experiment_id}/runs?{TRAINING}&{SHARED}={sweep_id}{TABLE}"


def latest_routes() -> dict[str, str]:
    """Return the routes of the pages that the latest sweep has, by description; empty if there is no sweep.

    Pages are missing if the store refused their tags, or if an earlier version, without tables, ran the sweep.
    """
    client = connect(tracking_uri())
    sweep = next(every_sweep(client), None)
    if sweep is None:
        return {}
    tags = client.get_experiment(sweep.info.experiment_id).tags
    found = routes(sweep.info.experiment_id, sweep.info.run_id).items()
    return {shown: route for shown, route in found if VIEW + route.partition(f"{SHARED}=")[2] in tags}


def routes(experiment_id: str, sweep_id: str) -> dict[str, str]:
    """Return the routes of a sweep's pages, by description."""
    return {
        "the finals as charts, a colour for each optimizer": charts_route(experiment_id, sweep_id),
        "all trials and finals as a table": table_route(experiment_id, sweep_id),
    }


def views(sweep_id: str) -> dict[str, dict[str, Any]]:
    """Return the experiment's tags that define the views of a sweep in the UI."""
    return {VIEW + sweep_id: charts(sweep_id), f"{VIEW}{sweep_id}{TABLE}": table(sweep_id)}


def charts(sweep_id: str) -> dict[str, Any]:
    """Return the UI's state for a view of the winners' finals: charts with one line per run, grouped by optimizer."""
    tags = {Tag.SWEEP_ID: sweep_id, Tag.STAGE: Stage.FINAL, Tag.SUPERSEDED: "false"}
    return {
        "searchFilter": condition(tags),
        # ordered by date, the UI would fold the finals under their sweep
        "orderByKey": f"metrics.`{VALIDATED}`",
        "orderByAsc": False,
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": Tag.OPTIMIZER}],
        },
        # the UI computes a group's colour from its name, with collisions; a run's colour is set by its tag
        "useGroupedValuesInCharts": False,
        "runsHiddenMode": "SHOW_ALL",
        # two charts in a row: with three, the names would not fit
        "compareRunSections": [
            {"uuid": SECTION, "name": SECTION, "display": True, "isReordered": True, "deleted": False, "columns": 2}
        ],
        "compareRunCharts": [_card(*card) for card in CARDS],
        "isAccordionReordered": True,  # else the UI puts its own sections of all metrics before this one
    }


def table(sweep_id: str) -> dict[str, Any]:
    """Return the UI's state for a table of all runs of the sweep, the best on the test set first."""
    return {
        "searchFilter": condition({Tag.SWEEP_ID: sweep_id}),
        "orderByKey": f"metrics.`{TESTED}`",
        "orderByAsc": False,
        "runsHiddenMode": "SHOW_ALL",
        "selectedColumns": list(COLUMNS),
        "columnOrder": list(COLUMNS),
    }


def _card(metric: str, scale: str) -> dict[str, Any]:
    return {
        "uuid": f"{SECTION}.{metric}",
        "type": "LINE",
        "metricSectionId": SECTION,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "scaleType": scale,
        "xAxisScaleType": "linear",
        "xAxisKey": "step",
        "lineSmoothness": 0,
        "displayPoints": False,
        "yAxisKey": "metric",
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": False,
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": False,
    }
