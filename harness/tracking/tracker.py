"""The seam between what runs and where it is recorded: what a tracker does, and a run as it is found again."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.records import DatasetInput, MetricRow, Outcome


class Tracker(Protocol):
    """Where runs are recorded and found again. What is written is durable when the call returns."""

    def start_run(self, experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Open a run and return its id."""

    def reopen_run(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Mark a run as running again. `params` are logged again, because a crash may have come before they were."""

    def last_step(self, run_id: str, metric: str) -> int:
        """Return the last step of a run's metric, 0 where it has none."""

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record on what data a run is; what is recorded already stays."""

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics at a step (the epoch), in one call."""

    def log_rows(self, run_id: str, rows: Sequence[MetricRow]) -> None:
        """Record values of metrics, those of a metric in the order of their steps."""

    def log_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Store a file under the run. `name` may hold folders, separated by slashes."""

    def read_artifact(self, run_id: str, name: str) -> bytes:
        """The content of such a file."""

    def log_model(self, run_id: str, trained_by: str, write: Callable[[Path], None]) -> None:
        """Have the run, a sweep, show the model that one of its finals trained; once. `write` makes its folder."""

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags."""

    def end_run(self, run_id: str, outcome: Outcome) -> None:
        """Close a run with its outcome and the matching status."""

    def find_run(self, run_id: str) -> "FoundRun":
        """The run of that id; BadInputError where there is none."""

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list["FoundRun"]:
        """The runs with all these tags; of sweeps, the newest first."""

    def latest_sequence(self) -> int:
        """The sequence number of the sweep that was started last; 0 where there is none."""


@dataclass(frozen=True)
class FoundRun:
    """A run as a search returns it: `metrics` are the last ones."""

    run_id: str
    tags: dict[str, str]
    metrics: dict[str, float]


def json_bytes(value: object) -> bytes:
    """Indented JSON for an artifact."""
    return json.dumps(value, indent=2, sort_keys=True).encode()


@dataclass(frozen=True)
class TrackedRun:
    """A run as MLflow recorded it. `history` maps a metric's name to its values by step.

    `location` is the address of its artifacts; empty where that is not known.
    """

    run_id: str
    experiment: str
    name: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    history: dict[str, dict[int, float]]
    location: str = ""
