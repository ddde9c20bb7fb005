"""The leaderboard shows mean test accuracies first, then finals and trials, and pruned trials separately."""

import pandas as pd
import pytest

from reports import queries
from reports.board import board_tables, means_frame, shortened, shown_runs
from reports.queries import leaderboard
from tests.reports.sweeps import CHILDREN, run, sweep

REPLACED = run("sgd", "final", 3, [0.5, 0.99])
REPLACED.tags["harness.superseded"] = "true"
MORE = [
    REPLACED,
    run("sgd", "trial", 1, [0.3], "pruned"),
    *(run("adam", "trial", number, [0.6 + number / 100]) for number in range(2, 5)),
    run("adam", "confirmation", 1, [0.71]),
    run("adam", "start", 1, [0.5, 0.94]),
    run("lion", "trial", 0, [], "failed"),
]


@pytest.fixture
def board(monkeypatch):
    monkeypatch.setattr(queries, "read_sweep", lambda _: (sweep(), [*CHILDREN, *MORE]))
    return leaderboard("id")


def shown(board, limit=10):
    return {each.label: each.cells for each in board_tables(board, limit)}


def test_the_optimizers_means_come_first_without_the_finals_of_a_replaced_winner(board):
    tables = board_tables(board, 10)
    assert tables[0].cells == [
        ["adam", "96.50%", "2", "70.00%", "4", "0"],
        ["sgd", "91.50%", "2", "80.00%", "1", "1"],
        ["lion", "", "0", "", "0", "0"],
    ]
    assert [each.label.split()[0] for each in tables[1:]] == ["finals,", "finals", "trials", "the", "pruned", "other"]


def test_runs_are_grouped_by_optimizer_with_their_ids_and_pruned_runs_are_separate(board):
    tables = shown(board)
    finals = tables["finals, measured on the test set"]
    assert [row[:2] for row in finals] == [["adam", "2"], ["adam", "1"], ["sgd", "2"], ["sgd", "1"]]
    assert finals[0] == ["adam", "2", "97.00%", "97.00%", "adam-final-2"]
    assert [row[-1] for row in tables["trials"]] == [*(f"adam-trial-{each}" for each in (1, 4, 3, 2)), "sgd-trial-0"]
    assert tables["pruned trials"] == [["sgd", "1", "1", "30.00%", "", "sgd-trial-1"]]
    assert [row[1:3] for row in tables["other runs"]] == [
        ["trial 0", "diverged"],
        ["final, seed 3", "replaced"],
        ["trial 0", "failed"],
    ]


def test_a_limit_leaves_the_best_of_each_optimizer_and_kind(board):
    tables = shown(board, 1)
    assert [row[-1] for row in tables["trials"]] == ["adam-trial-1", "sgd-trial-0"]
    assert len(tables["finals, measured on the test set"]) == 2
    assert shown_runs(board_tables(board, 1)) == len(shortened(board, 1)) == 10
    assert shown_runs(board_tables(board, 10)) == len(board)


def test_a_sweep_without_runs_has_an_empty_leaderboard(monkeypatch):
    monkeypatch.setattr(queries, "read_sweep", lambda _: (sweep(), []))
    board = leaderboard("id")
    assert board_tables(board, 10)[0].cells == []
    assert len(shortened(board, 1)) == 0


def test_the_learning_rate_of_each_optimizer_is_shown():
    row = {"stage": "trial", "number": 0, "outcome": "completed", "epochs": 1, "config.batch_size": "32"}
    row |= {"validation_accuracy": 0.5, "test_accuracy": float("nan"), "superseded": False, "run_id": "id"}
    rates = [
        {"optimizer": "adam", "config.optimizer.lr": "0.001"},
        {"optimizer": "adafactor", "config.optimizer.lr": "None"},
        {"optimizer": "mine", "config.optimizer.learning_rate": "0.02"},
    ]
    board = pd.DataFrame([row | each for each in rates])
    assert list(means_frame(board)["optimizer"]) == ["adam", "adafactor", "mine"]
    assert [cells[3:5] for cells in shown(board)["trials"]] == [["0.001", "32"], ["", "32"], ["0.02", "32"]]
