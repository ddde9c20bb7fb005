"""What a command shows of runs: of one that is reproduced only that it is, else what differs, with its unit."""

import json

import pandas as pd
import pytest

from experiments.cli.results import print_differences, print_leaderboard, print_reproduction
from harness.changes import Change
from harness.reproduce import MetricComparison, Reproduction


def compared(epoch, metric, recorded, reproduced, agrees=None):
    agrees = recorded == reproduced if agrees is None else agrees
    return MetricComparison(epoch=epoch, metric=metric, recorded=recorded, reproduced=reproduced, agrees=agrees)


def reproduction(*comparisons, environment=(), ending=None):
    return Reproduction(run_id="id", environment=environment, code=(), comparisons=comparisons, ending=ending)


SAME = [compared(epoch, "test/accuracy", 0.98470001, 0.98470001) for epoch in (1, 2)]


def test_a_run_that_is_reproduced_bit_by_bit_is_one_line(capsys):
    print_reproduction(reproduction(*SAME))
    assert capsys.readouterr().out == "reproduced bit by bit: 2 values and the final state are identical\n"


def test_a_run_without_a_final_state_is_not_said_to_have_an_identical_one(capsys):
    print_reproduction(reproduction(*SAME).model_copy(update={"has_final_state": False}))
    expected = "reproduced bit by bit: 2 values are identical; the run recorded no final state\n"
    assert capsys.readouterr().out == expected


def test_the_table_shows_only_differences_with_enough_digits_to_see_them(capsys):
    print_reproduction(reproduction(*SAME, compared(2, "validation/accuracy", 0.9847, 0.98472)))
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].split() == ["2", "validation/accuracy", "98.470%", "98.472%", "DIFFERS"]
    assert shown[2:] == ["not reproduced: epoch 2, validation/accuracy: recorded 98.470%, now 98.472%"]


def test_a_metric_that_is_no_longer_measured_is_named(capsys):
    print_reproduction(reproduction(compared(1, "train/extra", 1.5, None)))
    assert capsys.readouterr().out.splitlines()[-1].endswith("train/extra: recorded 1.5, now nothing")


def test_a_different_final_state_is_shown(capsys):
    print_reproduction(reproduction(*SAME, ending=Change(what="state hash", then="a", now="b")))
    assert capsys.readouterr().out == "not reproduced: state hash: recorded a, now b\n"


def test_values_within_the_tolerance_of_another_environment_are_in_the_table(capsys):
    changed = Change(what="torch", then="2.8", now="2.9")
    near = compared(1, "train/loss", 0.25, 0.2500001, agrees=True)
    print_reproduction(reproduction(*SAME, near, environment=(changed,)))
    first, _, row, *verdict = capsys.readouterr().out.splitlines()
    assert first == "environment differs: torch was 2.8, now 2.9"
    assert row.split() == ["1", "train/loss", "0.25", "nats", "0.2500001", "nats", "within", "tolerance"]
    assert "3 values agree, accuracies within 0.50 points, losses within 25%" in " ".join(verdict)


def test_two_runs_are_compared_with_units_and_missing_values_are_left_empty(capsys):
    rows = {"config.optimizer.lr": ["0.1", None], "test/accuracy": [0.9847, float("nan")], "train/loss": [0.25, 0.5]}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["a", "b"], dtype=object)
    print_differences(frame)
    cells = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert cells[3:] == [
        ["config.optimizer.lr", "0.1"],
        ["test/accuracy", "98.47%"],
        ["train/loss", "0.25", "nats", "0.5", "nats"],
    ]


def test_a_limited_leaderboard_shows_the_total_number_of_runs(capsys):
    row = {"optimizer": "adam", "stage": "trial", "outcome": "completed", "epochs": 1, "superseded": False}
    row |= {"validation_accuracy": 0.5, "test_accuracy": None}
    board = pd.DataFrame([row | {"number": number, "run_id": f"id-{number}"} for number in range(3)])
    print_leaderboard(board, 2)
    shown = capsys.readouterr().out
    assert "id-1" in shown
    assert "id-2" not in shown
    assert "2 of 3 runs" in shown.splitlines()[-1]
    print_leaderboard(board, 3)
    assert " of 3 runs" not in capsys.readouterr().out


@pytest.mark.posix
def test_a_limit_applies_to_each_optimizer_and_kind_in_json_too(tracked, harness_json, monkeypatch):
    monkeypatch.chdir(tracked.folder)
    every, best = harness_json("leaderboard"), harness_json("leaderboard", "--limit", "1")
    assert [each for each in every if each["run_id"] in {each["run_id"] for each in best}] == best
    of = [(each["optimizer"], each["stage"], each["outcome"]) for each in best]
    assert len(set(of)) == len(of) < len(every)
    document = json.dumps(harness_json("compare", tracked.trial, tracked.final))
    assert "NaN" not in document
