"""The part of metrics that must repeat bit by bit, all of it but the durations, whole or in slices."""

from collections import defaultdict

from harness.records import MetricRow, Tag
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.read import read_sweep, read_tracked_run
from harness.training.loop import initial_state
from tests.memory_tracker import MemoryRun, MemoryTracker
from tests.training import train_slices

IDENTITY = (Tag.STAGE, Tag.OPTIMIZER, Tag.NUMBER, Tag.CONFIG_HASH, Tag.OUTCOME, Tag.IMAGES, Tag.SPENT)


def numbers(metrics):
    """The epochs as plain values."""
    return [each.model_dump(exclude={"train_seconds", "evaluate_seconds", "images_per_second"}) for each in metrics]


def in_slices(config, data, epochs, splits):
    """The last state and the metrics of a run that is cut within each epoch, too, after its first step."""
    trained = train_slices(config, initial_state(config), data, splits, [1, None] * epochs)
    return trained.state, trained.metrics


def sweep_numbers(tracker: MemoryTracker):
    """Return the metrics of every trial and final, by its identity and by name and epoch or images."""
    children = [run for run in tracker.runs.values() if run.tags["harness.stage"] != "sweep"]
    return {_identity(run.tags): _repeatable(_by_name(run)) for run in children}


def _by_name(run: MemoryRun):
    found = defaultdict(dict)
    rows = [MetricRow(name, value, step) for step, each in run.history.items() for name, value in each.items()]
    for row in (*rows, *run.rows):
        found[row.name][row.step] = row.value
    return found


def tracked_sweep_numbers(sweep_id: str):
    """Return the same metrics as `sweep_numbers`, from MLflow."""
    _, children = read_sweep(sweep_id)
    # each by itself: a sweep is read without the windows of its runs' training steps
    runs = [read_tracked_run(run.run_id) for run in children]
    found = {_identity(run.tags): _repeatable(run.history) for run in runs}
    assert len(found) == len(children), "one of them is tracked twice"
    return found


def assert_whole(sweep_id: str, epochs: int):
    """The sweep and all its runs ended well; each epoch of each of them is there once, so many altogether."""
    parent, children = read_sweep(sweep_id)
    assert {run.status for run in (parent, *children)} == {"FINISHED"}
    client = connect(tracking_uri())
    rows = [[row.step for row in client.get_metric_history(run.run_id, "train/loss")] for run in children]
    assert all(sorted(steps) == list(range(1, len(steps) + 1)) for steps in rows)
    assert sum(map(len, rows)) == epochs


def _identity(tags):
    return tuple(tags.get(name, "") for name in IDENTITY)


def _repeatable(history):
    return {name: each for name, each in history.items() if "/" in name and not name.startswith("seconds")}
