"""A tracker that keeps runs in a dictionary, for tests that want the numbers and no store."""

import uuid
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import BadInputError
from harness.records import METRIC_NAMES, DatasetInput, MetricRow, Outcome, Tag
from harness.tracking.tracker import FoundRun


@dataclass
class MemoryRun:
    """A run as the in-memory tracker keeps it. `history` maps an epoch to its metrics."""

    experiment: str
    name: str
    params: dict[str, Any]
    tags: dict[str, str]
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    rows: list[MetricRow] = field(default_factory=list)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    inputs: tuple[DatasetInput, ...] = ()
    trained_by: str | None = None  # of a sweep's model
    outcome: Outcome | None = None


class MemoryTracker:
    """Runs in a dictionary, for callers that want the numbers and no store."""

    def __init__(self) -> None:
        self.runs: dict[str, MemoryRun] = {}

    def start_run(self, experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Open a run and return its id."""
        run_id = uuid.uuid4().hex
        self.runs[run_id] = MemoryRun(experiment, name, dict(params), dict(tags))
        return run_id

    def reopen_run(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Mark a run as running again. `params` are logged again, because a crash may have come before they were."""
        self.runs[run_id].outcome = None
        self.runs[run_id].params.update(params)

    def last_step(self, run_id: str, metric: str) -> int:
        """The last step of a run's metric, 0 where it has none."""
        run = self.runs[run_id]
        of_epochs = [step for step, metrics in run.history.items() if metric in metrics]
        return max([*of_epochs, *(row.step for row in run.rows if row.name == metric)], default=0)

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record on what data a run is; what is recorded already stays."""
        self.runs[run_id].inputs = tuple(dict.fromkeys([*self.runs[run_id].inputs, *inputs]))

    def log_rows(self, run_id: str, rows: Sequence[MetricRow]) -> None:
        """Record values of metrics; a step of a metric has its value once, and an epoch all its metrics at once."""
        run = self.runs[run_id]
        there = {(row.name, row.step) for row in run.rows}
        of_epochs = [row for row in rows if row.name in METRIC_NAMES.values()]
        within = [row for row in rows if row.name not in METRIC_NAMES.values()]
        if again := [
            *(row for row in within if (row.name, row.step) in there),
            *(row for row in of_epochs if row.step in run.history),
        ]:
            raise ValueError(f"run {run_id!r} has {again[0]} already")
        for row in of_epochs:
            run.history.setdefault(row.step, {})[row.name] = row.value
        run.rows.extend(within)

    def log_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Store a file under the run."""
        self.runs[run_id].artifacts[name] = content

    def read_artifact(self, run_id: str, name: str) -> bytes:
        """The content of such a file."""
        return self.runs[run_id].artifacts[name]

    def log_model(self, run_id: str, trained_by: str, write: Callable[[Path], None]) -> None:
        """Have the run show the model of another."""
        self.runs[run_id].trained_by = trained_by

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags."""
        self.runs[run_id].tags.update(tags)

    def end_run(self, run_id: str, outcome: Outcome) -> None:
        """Close a run with its outcome."""
        self.runs[run_id].outcome = outcome
        self.runs[run_id].tags[Tag.OUTCOME] = outcome.value

    def find_run(self, run_id: str) -> FoundRun:
        """The run of that id; BadInputError where there is none."""
        if run_id not in self.runs:
            raise BadInputError("run", run_id, "is unknown", expected="an id of this tracker's runs")
        run = self.runs[run_id]
        newest_first = (run.history[step] for step in sorted(run.history, reverse=True))
        return FoundRun(run_id, dict(run.tags), dict(ChainMap(*newest_first)))

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list[FoundRun]:
        """The runs with all these tags; of sweeps, the newest first."""
        return [
            self.find_run(run_id)
            for run_id, run in list(self.runs.items())[::-1]  # a copy: an outbox may be writing
            if run.experiment == experiment and tags.items() <= run.tags.items()
        ]

    def latest_sequence(self) -> int:
        """The sequence number of the sweep that was started last; 0 where there is none."""
        return max((int(run.tags.get(Tag.SEQUENCE, 0)) for run in self.runs.values()), default=0)
