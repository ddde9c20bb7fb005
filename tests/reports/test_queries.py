"""The Python API answers its three questions about a small sweep."""

import io
import json

import pandas as pd
import pytest

from harness.errors import BadInputError
from reports import queries
from reports.queries import compare, export, leaderboard, table_bytes
from tests.reports.sweeps import CHILDREN, run, sweep


@pytest.fixture(autouse=True)
def tracked(monkeypatch):
    children = [*CHILDREN, run("adam", "trial", 2, [], "failed")]
    monkeypatch.setattr(queries, "read_sweep", {"id": (sweep(), children)}.__getitem__)
    monkeypatch.setattr(queries, "latest_sweep", lambda: "id")
    monkeypatch.setattr(queries, "read_tracked_run", {each.run_id: each for each in children}.__getitem__)


def test_the_leaderboard_is_sorted_by_validation_accuracy_with_missing_ones_last():
    found = leaderboard()
    assert list(found["run_id"])[:2] == ["adam-final-2", "adam-final-1"]
    assert list(found["run_id"])[-1] == "adam-trial-2"
    assert found["validation_accuracy"].dropna().is_monotonic_decreasing
    assert pd.isna(found.set_index("run_id").loc["sgd-trial-0", "test_accuracy"])
    assert [name for name in found.columns if name.startswith("config.")] == []  # all have the same


def test_compare_shows_only_differences():
    found = compare("sgd-final-1", "sgd-trial-0")
    assert list(found.columns) == ["sgd-final-1", "sgd-trial-0"]
    assert list(found.loc["validation/accuracy"]) == [0.91, 0.8]
    assert list(found.loc["test/accuracy"]) == [0.91, None]
    assert "train/loss" not in found.index
    assert "config.optimizer.lr" not in found.index
    assert list(found.index) == ["test/accuracy", "validation/accuracy"]
    assert list(compare("sgd-final-1", "adam-trial-0").loc["outcome"]) == ["completed", "diverged"]
    with pytest.raises(BadInputError, match="expected two different runs"):
        compare("sgd-final-1", "sgd-final-1")


@pytest.mark.parametrize(
    ("file_format", "read"),
    [
        ("csv", pd.read_csv),
        ("json", lambda file: pd.DataFrame(json.load(file))),
        ("parquet", pd.read_parquet),
    ],
)
def test_export_is_a_row_per_run_and_epoch_in_every_format(file_format, read):
    table = export()
    assert len(table) == 3 + 4 * 2
    assert list(table[table["run_id"] == "adam-final-2"]["epoch"]) == [1, 2]
    assert set(table["config.optimizer.lr"]) == {"0.1"}
    again = read(io.BytesIO(table_bytes(table, file_format)))
    assert list(again.columns) == list(table.columns)
    assert list(again["validation_accuracy"]) == list(table["validation_accuracy"])
