"""Define the interface between training and recording: the methods of a tracker, and the runs that it returns."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.records import DatasetInput, MetricRow, Outcome


class Tracker(Protocol):
    """Record runs and find them again. A write is durable when its call returns."""

    def start_run(self, experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Open a run and return its id."""

    def reopen_run(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Mark a run as running again; log `params` again, because a crash may have prevented it the first time."""

    def last_step(self, run_id: str, metric: str) -> int:
        """Return the last step of a run's metric, 0 if it has none."""

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record the data that a run uses, beside the data that are recorded already."""

    def log_rows(self, run_id: str, rows: Sequence[MetricRow]) -> None:
        """Record values of metrics in one call; the values of each metric are in the order of their steps."""

    def log_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Store a file under the run. `name` may hold folders, separated by slashes."""

    def read_artifact(self, run_id: str, name: str) -> bytes:
        """Return the content of a file that was stored under the run."""

    def log_model(self, run_id: str, trained_by: str, write: Callable[[Path], None]) -> None:
        """Attach the model of the final `trained_by` to the sweep `run_id`, once. `write` writes its folder."""

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags."""

    def end_run(self, run_id: str, outcome: Outcome) -> None:
        """Close a run with its outcome and the matching status."""

    def find_run(self, run_id: str) -> "FoundRun":
        """Return the run of that id; raise BadInputError if there is none."""

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list["FoundRun"]:
        """Return the runs with all these tags; of sweeps, the newest first."""

    def latest_sequence(self) -> int:
        """Return the sequence number of the sweep that was started last; 0 if there is none."""


@dataclass(frozen=True)
class FoundRun:
    """A run as a search returns it; `metrics` has the last value of each metric."""

    run_id: str
    tags: dict[str, str]
    metrics: dict[str, float]


def json_bytes(value: object) -> bytes:
    """Return the value as indented JSON, for an artifact."""
    return json.dumps(value, indent=2, sort_keys=True).encode()


@dataclass(frozen=True)
class TrackedRun:
    """A run as MLflow recorded it. `history` maps a metric's name to its values by step.

    `location` is the address of the run's artifacts; empty if it is not known.
    """

    run_id: str
    experiment: str
    name: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    history: dict[str, dict[int, float]]
    location: str = ""
