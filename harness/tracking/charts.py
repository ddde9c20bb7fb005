"""A sweep's finals as charts in MLflow's UI, a line for each optimizer."""

from typing import Any

from harness.records import METRIC_NAMES, Stage, Tag
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.read import condition, every_sweep

# both are names of the UI's own, which keeps a view that a person shares in such a tag of the experiment
VIEW = "mlflow.sharedViewState."
SHARED = "viewStateShareKey"


def charts_route(experiment_id: str, sweep_id: str) -> str:
    """The page of MLflow's UI with a sweep's finals as charts, a line for each optimizer."""
    return f"#/experiments/{experiment_id}/runs?compareRunsMode=CHART&{SHARED}={sweep_id}"


def latest_charts() -> str | None:
    """Return the page with the charts of the sweep that was started last; None where there is none."""
    client = connect(tracking_uri())
    sweep = next(every_sweep(client), None)
    if sweep is None or VIEW + sweep.info.run_id not in client.get_experiment(sweep.info.experiment_id).tags:
        return None
    return charts_route(sweep.info.experiment_id, sweep.info.run_id)


def charts(sweep_id: str) -> dict[str, Any]:
    """What the UI keeps of a view of runs: here of the winners' finals, grouped by optimizer."""
    tags = {Tag.SWEEP_ID: sweep_id, Tag.STAGE: Stage.FINAL, Tag.SUPERSEDED: "false"}
    return {
        "searchFilter": condition(tags),
        # ordered by date, the finals would come with their sweep
        "orderByKey": f"metrics.`{METRIC_NAMES['validation_accuracy']}`",
        "orderByAsc": False,
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": Tag.OPTIMIZER}],
        },
        "runsHiddenMode": "SHOW_ALL",
    }
