"""The report is one self-contained page that says what MLflow recorded, and nothing stronger."""

import csv
import io

from harness.records import METRIC_NAMES
from harness.tracking import TrackedRun
from reports.page import build_report

DEFINITION = {
    "optimizers": ["sgd", "adam"],
    "trials": 1,
    "trial_epochs": 1,
    "final_epochs": 2,
    "final_seeds": [1, 2],
    "subset": True,
    "base": {"dataset": {"name": "mnist", "train_size": 640}},
    "spaces": {name: {"optimizer.lr": {}} for name in ("sgd", "adam")},
    "space": {},
}


def run(optimizer: str, stage: str, seed: int, accuracies: list[float], outcome: str = "completed") -> TrackedRun:
    measured = {name: dict.fromkeys(range(1, len(accuracies) + 1), 0.5) for name in METRIC_NAMES.values()}
    measured["validation/accuracy"] = dict(enumerate(accuracies, 1))
    measured["test/accuracy"] = dict(enumerate(accuracies, 1)) if stage == "final" else {}
    tags = {"harness.optimizer": optimizer, "harness.stage": stage, "harness.seed": str(seed)}
    return TrackedRun(
        run_id=f"{optimizer}-{stage}-{seed}",
        experiment="tiny",
        name=optimizer,
        status="FINISHED",
        tags=tags | {"harness.outcome": outcome},
        params={"optimizer.lr": "0.1"},
        history=measured,
    )


def sweep(**tags: str) -> TrackedRun:
    tags = {"harness.definition_hash": "d", "harness.data_digest": "e", "harness.outcome": "completed"} | tags
    return TrackedRun("id", "<script>alert(1)</script>", "tiny", "FINISHED", tags, {}, {})


CHILDREN = [
    run("sgd", "trial", 0, [0.8]),
    run("adam", "trial", 0, [0.9], "diverged"),
    run("adam", "trial", 0, [0.7]),
    *(run("sgd", "final", seed, [0.5, 0.90 + seed / 100]) for seed in (1, 2)),
    *(run("adam", "final", seed, [0.5, 0.95 + seed / 100]) for seed in (1, 2)),
]


def test_summary_counts_finals_and_outcomes_best_first():
    files = build_report(sweep(), CHILDREN, DEFINITION)
    rows = list(csv.DictReader(io.StringIO(files["summary.csv"].decode())))
    assert [row["optimizer"] for row in rows] == ["adam", "sgd"]
    assert [round(float(row["mean"]), 4) for row in rows] == [0.965, 0.915]
    assert [row["diverged"] for row in rows] == ["1", "0"]
    winners = list(csv.DictReader(io.StringIO(files["winners.csv"].decode())))
    assert [float(row["validation_accuracy"]) for row in winners] == [0.8, 0.7]


def test_page_is_self_contained_escaped_and_labelled_a_subset():
    files = build_report(sweep(), CHILDREN, DEFINITION)
    page = files["report.html"].decode()
    assert "<script" not in page
    assert "src=" not in page
    assert "Subset." in page
    tables = [content.decode().splitlines() for name, content in files.items() if name.endswith(".csv")]
    assert all(line.endswith(",True") for table in tables for line in table[1:])
    assert "Not complete." not in page
    assert page.count("<svg") == 3


def test_same_data_gives_the_same_bytes():
    assert build_report(sweep(), CHILDREN, DEFINITION) == build_report(sweep(), CHILDREN, DEFINITION)


def test_a_sweep_that_stopped_early_says_so():
    page = build_report(sweep(**{"harness.outcome": "killed"}), CHILDREN[:2], DEFINITION)["report.html"].decode()
    assert "Not complete." in page
    assert build_report(sweep(), [], DEFINITION)["report.html"]
