"""The finals that the report counts are those of the winner that the coordinator selected."""

import json

from harness.config import RunConfig, parse_config
from harness.records import Tag
from harness.tracking.tracker import TrackedRun
from reports.tables import epochs_frame, runs_frame
from reports.winners import find_winners, superseded
from studies.definition import SweepDefinition
from studies.executors.pool import WorkerPool
from studies.space import Range
from studies.sweep import run_sweep
from tests.benchmarks.scale import NullWorkers
from tests.memory_tracker import MemoryTracker


def tracked(run_id, run):
    history = {}
    for step, metrics in run.history.items():
        for name, value in metrics.items():
            history.setdefault(name, {})[step] = value
    return TrackedRun(run_id, run.experiment, run.name, "FINISHED", run.tags, {}, history)


def test_finals_of_a_replaced_winner_are_those_that_the_sweep_marked(config, project):
    definition = SweepDefinition(
        base=config,
        optimizers=("sgd", "adam"),
        space={"model.dropout": Range(low=0, high=0.5)},
        spaces={name: {"optimizer.lr": Range(low=1e-4, high=1e-1, log=True)} for name in ("sgd", "adam")},
        budget=6,
        trial_epochs=2,
        final_seeds=(1, 2),
        final_epochs=1,
        subset=True,
    )
    tracker = MemoryTracker()
    with NullWorkers(1) as workers:
        for budget in (6, 24):
            now = definition.model_copy(update={"budget": budget})
            sweep_id = run_sweep("null", now, tracker, WorkerPool(workers, 1)).sweep_id
    children = {key: run for key, run in tracker.runs.items() if run.tags.get(Tag.SWEEP_ID) == sweep_id}
    runs = [tracked(run_id, run) for run_id, run in children.items()]

    def config_of(run_id: str) -> RunConfig:
        return parse_config(json.loads(children[run_id].artifacts["config.json"]))

    winners = find_winners(runs_frame(runs, epochs_frame(runs)), now, config_of)
    marked = {run_id for run_id, run in children.items() if run.tags.get(Tag.SUPERSEDED) == "true"}
    assert marked, "a better winner was found"
    assert superseded(runs, winners, now) == marked
