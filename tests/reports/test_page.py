"""The report is one self-contained page that says what MLflow recorded, and nothing stronger."""

import csv
import io

from harness.records import METRIC_NAMES
from harness.tracking import TrackedRun
from reports.page import build_report

DEFINITION = {
    "optimizers": ["sgd", "adam"],
    "budget": 2,
    "trial_epochs": 1,
    "final_epochs": 2,
    "final_seeds": [1, 2],
    "subset": True,
    "base": {"dataset": {"name": "mnist", "train_size": 640}},
    "spaces": {
        name: {
            "optimizer.lr": {"kind": "range", "low": 0.01, "high": high, "log": True, "complement": False}
            | {"from_trials": 1},
            "optimizer.eps": {"kind": "range", "from_trials": 26},
        }
        for name, high in (("sgd", 1.0), ("adam", 0.11))
    },
    "space": {},
}


def run(optimizer: str, stage: str, seed: int, accuracies: list[float], outcome: str = "completed") -> TrackedRun:
    measured = {name: dict.fromkeys(range(1, len(accuracies) + 1), 0.5) for name in METRIC_NAMES.values()}
    measured["validation/accuracy"] = dict(enumerate(accuracies, 1))
    measured["test/accuracy"] = dict(enumerate(accuracies, 1)) if stage == "final" else {}
    tags = {"harness.optimizer": optimizer, "harness.stage": stage, "harness.seed": str(seed)}
    tags |= {"harness.number": str(seed)} | ({"harness.quiet": "true"} if stage == "final" and seed == 1 else {})
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
    files = build_report(sweep(), CHILDREN, DEFINITION).files
    rows = list(csv.DictReader(io.StringIO(files["summary.csv"].decode())))
    assert [row["optimizer"] for row in rows] == ["adam", "sgd"]
    assert [round(float(row["mean"]), 4) for row in rows] == [0.965, 0.915]
    assert [row["diverged"] for row in rows] == ["1", "0"]
    winners = list(csv.DictReader(io.StringIO(files["winners.csv"].decode())))
    assert [float(row["validation_accuracy"]) for row in winners] == [0.8, 0.7]


def test_page_is_self_contained_escaped_and_labelled_a_subset():
    hostile = "<script>alert(1)</script>"
    definition = DEFINITION | {"optimizers": ["sgd", "adam", hostile]}
    tags = {"mlflow.source.git.commit": hostile, "harness.torch": hostile}
    children = [*CHILDREN, run(hostile, "trial", 0, [0.6]), run(hostile, "final", 1, [0.5])]
    files = build_report(sweep(**tags), children, definition).files
    page = files["report.html"].decode()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5
    assert "src=" not in page
    assert "Subset." in page
    tables = [content.decode().splitlines() for name, content in files.items() if name.endswith(".csv")]
    assert all(line.endswith(",True") for table in tables for line in table[1:])
    assert "Not complete." not in page
    assert page.count("<svg") == 3


def test_same_data_gives_the_same_bytes():
    one, other = (build_report(sweep(), CHILDREN, DEFINITION) for _ in range(2))
    assert one.files == other.files


def test_a_sweep_that_stopped_early_says_so():
    page = (
        build_report(sweep(**{"harness.outcome": "killed"}), CHILDREN[:2], DEFINITION).files["report.html"].decode()
    )
    assert "Not complete." in page
    nothing = build_report(sweep(), [], DEFINITION)
    assert nothing.answer == ("No final has ended yet, so there is no answer.",)


def test_a_winner_at_the_edge_of_its_range_is_marked_wherever_its_result_appears():
    report = build_report(sweep(), CHILDREN, DEFINITION)
    by_name = report.summary.set_index("optimizer")
    assert by_name["edges"].to_dict() == {"adam": "optimizer.lr 0.1, widen above", "sgd": ""}
    assert "Not fully tuned, its best at the edge of what was searched: adam." in report.answer
    page = report.files["report.html"].decode()
    assert "<td>adam*</td>" in page
    assert "<td>sgd</td>" in page
    assert "optimizer.lr 0.1, widen above" in report.files["winners.csv"].decode()


def test_last_and_selected_epoch_are_kept_apart_and_seconds_are_of_the_quiet_final():
    sliding = run("adam", "final", 3, [0.9, 0.99, 0.5])
    sliding.history["test/accuracy"] = {1: 0.8, 2: 0.85, 3: 0.6}
    loud = run("adam", "final", 4, [0.9, 0.9, 0.9])
    quiet = run("adam", "final", 1, [0.9, 0.9, 0.9])
    quiet.history["seconds/train"] = dict.fromkeys((1, 2, 3), 2.5)
    report = build_report(sweep(), [run("adam", "trial", 0, [0.7]), sliding, loud, quiet], DEFINITION)
    rows = list(csv.DictReader(io.StringIO(report.files["runs.csv"].decode())))
    (kept,) = [row for row in rows if row["seed"] == "3"]
    assert (kept["test_accuracy"], kept["selected_epoch"], kept["selected_test_accuracy"]) == ("0.6", "2", "0.85")
    adam = report.summary.set_index("optimizer").loc["adam"]
    assert adam["train_seconds"] == 2.5
    assert round(adam["selected_mean"], 4) == round((0.85 + 0.9 + 0.9) / 3, 4)
