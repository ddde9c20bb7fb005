"""The part of metrics that must repeat bit by bit: all of it but the durations."""

from harness.tracking import MemoryTracker, read_sweep

IDENTITY = ("harness.stage", "harness.optimizer", "harness.number", "harness.config_hash", "harness.outcome")


def numbers(metrics):
    """The epochs as plain values."""
    return [each.model_dump(exclude={"train_seconds", "evaluate_seconds", "images_per_second"}) for each in metrics]


def sweep_numbers(tracker: MemoryTracker):
    """The metrics of every trial and final by name and epoch, by what it is."""
    children = [run for run in tracker.runs.values() if run.tags["harness.stage"] != "sweep"]
    by_name = [
        {name: {step: each[name] for step, each in run.history.items()} for name in run.history.get(1, {})}
        for run in children
    ]
    return {_identity(run.tags): _repeatable(each) for run, each in zip(children, by_name, strict=True)}


def tracked_sweep_numbers(sweep_id: str):
    """The same, as MLflow has it."""
    _, children = read_sweep(sweep_id)
    found = {_identity(run.tags): _repeatable(run.history) for run in children}
    assert len(found) == len(children), "one of them is tracked twice"
    return found


def _identity(tags):
    return tuple(tags.get(name, "") for name in IDENTITY)


def _repeatable(history):
    return {name: each for name, each in history.items() if "/" in name and not name.startswith("seconds")}
