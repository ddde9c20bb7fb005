"""Results stored by earlier versions are reported, resumed and reproduced, and are printed as before."""

import json
import math
from pathlib import Path

import pytest

from harness.config import config_hash, parse_config, validated
from harness.records import POINT_ACCURACY, Tag
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.read import read_sweep, read_tracked_run
from studies.definition import SweepDefinition
from tests.compatibility.stored import COMMITS
from tests.metrics import assert_whole
from tests.tiny import one_figure

# said of the moment or the place, or in sentences, which may be put better
NOT_COMPARED = {"process", "cut_off", "report", "answer", "running"}


def assert_holds(now, then, at="the document"):
    """Check that the output has all earlier values; it may have more."""
    if isinstance(then, dict):
        assert then.keys() - NOT_COMPARED <= now.keys(), at
        for key in then.keys() - NOT_COMPARED:
            assert_holds(now[key], then[key], f"{at}.{key}")
    elif isinstance(then, list):
        assert len(now) == len(then), at
        for number, pair in enumerate(zip(now, then, strict=True)):
            assert_holds(*pair, f"{at}[{number}]")
    elif isinstance(then, float):
        assert math.isclose(now, then, rel_tol=1e-9), at
    else:
        assert now == then, at


def steps(run_id: str) -> list[int]:
    """Return the tracked epochs of a run, with repetitions."""
    return sorted(row.step for row in connect(tracking_uri()).get_metric_history(run_id, "train/loss"))


def test_stored_results_of_an_earlier_version_exist():
    assert COMMITS


def test_a_stored_sweep_is_shown_as_the_earlier_version_showed_it(stored, harness_json, harness):
    assert_holds(harness_json("leaderboard", stored.printed["sweep"]["sweep_id"]), stored.printed["leaderboard"])
    assert_holds(harness_json("status", stored.printed["sweep"]["sweep_id"]), stored.printed["status"])
    of_killed = stored.printed["stopped sweep"]
    told = harness_json("status", of_killed["sweep_id"])
    assert_holds(told, of_killed)
    ran, runs = (
        [each.split(",")[0] for study in of["studies"] for each in study["running"]] for of in (of_killed, told)
    )
    assert ran == runs != []
    exported = harness("export", stored.printed["sweep"]["sweep_id"], "--format", "json")
    assert exported.returncode == 0, exported.stderr
    assert_holds(json.loads(exported.stdout), stored.printed["export"])


@pytest.mark.long
def test_a_sweep_and_a_run_are_reported(stored, harness_json):
    sweep_id, run_id = stored.printed["sweep"]["sweep_id"], stored.printed["run"]["run_id"]
    with one_figure():
        of_sweep, of_run = (Path(harness_json("report", each)["report"]) for each in (sweep_id, run_id))
    text = of_sweep.with_suffix(".md").read_text(encoding="utf-8")
    assert all(name in text for name in stored.printed["sweep"]["optimizers"])
    figures = {each["name"] for each in json.loads(of_sweep.with_suffix(".json").read_text())["figures"]}
    assert {"final-accuracy", "convergence", "cost", "learning-rates", "classes"} <= figures
    assert run_id in of_run.read_text(encoding="utf-8")


@pytest.mark.long
def test_the_command_of_a_completed_sweep_shows_it_and_adds_nothing(stored, harness_json):
    sweep_id = stored.printed["sweep"]["sweep_id"]
    before, children = read_sweep(sweep_id)
    with one_figure():
        shown = harness_json("sweep", "bars_ended.py", "--executor", "inline")
    assert_holds(shown, stored.printed["sweep"])
    after, the_same = read_sweep(sweep_id)
    assert the_same == children
    assert (after.history, after.params) == (before.history, before.params)
    assert {**after.tags, Tag.NOTE: ""} == {**before.tags, Tag.NOTE: ""}  # the report's


@pytest.mark.parametrize("stage", ["trial", "final"])
def test_a_trial_and_a_final_are_reproduced(stored, harness_json, stage):
    shown = harness_json("reproduce", stored.ids("completed", stage)[0])
    assert shown["first_difference"] is None
    assert {each["epoch"] for each in shown["comparisons"]} == {1, 2}


def test_a_completed_and_a_stopped_run_are_reproduced_up_to_their_last_epoch(stored, harness_json):
    for run_id, epochs in ((stored.printed["run"]["run_id"], 2), (stored.printed["stopped run"], 1)):
        shown = harness_json("reproduce", run_id)
        assert shown["first_difference"] is None
        assert len(shown["comparisons"]) == epochs * 6


def test_a_stopped_run_resumes_and_completes(stored, harness_json):
    run_id = stored.printed["stopped run"]
    before = read_tracked_run(run_id).history
    assert {tuple(each) for each in before.values()} == {(1,)}
    record = harness_json("run", "--resume", run_id)
    assert (record["run_id"], record["outcome"]) == (run_id, "completed")
    assert steps(run_id) == [1, 2]
    after = read_tracked_run(run_id).history
    assert {name: after[name][1] for name in before} == {name: each[1] for name, each in before.items()}
    of_points = after[POINT_ACCURACY]  # since then: of its second epoch
    size = 2 * parse_config(json.loads(artifact(stored, run_id, "config.json"))).dataset.train_size
    assert size / 2 < min(of_points) < max(of_points) == size


@pytest.mark.slow
def test_a_killed_sweep_resumes_and_completes(stored, harness_started):
    sweep_id = stored.printed["stopped sweep"]["sweep_id"]
    before = {run.run_id: run for run in read_sweep(sweep_id)[1]}
    assert len(before) > 2
    arguments = ("sweep", "bars_stopped.py", "--workers", "2")
    harness_started(*arguments, module="tests.tiny", TINY_ANEW="yes").end_with(0)
    assert_whole(sweep_id, 2 * 8 + 2 * 2 * 2)
    after = {run.run_id: run for run in read_sweep(sweep_id)[1]}
    assert before.keys() < after.keys()
    for run_id, run in before.items():
        now = after[run_id].history
        assert {
            name: {epoch: now[name][epoch] for epoch in each} for name, each in run.history.items()
        } == run.history


def test_stored_definitions_and_configs_keep_their_hashes(stored):
    for key in ("sweep", "stopped sweep"):
        sweep, children = read_sweep(stored.printed[key]["sweep_id"])
        definition = validated(SweepDefinition, json.loads(artifact(stored, sweep.run_id, "definition.json")))
        assert config_hash(definition) == sweep.tags[Tag.DEFINITION_HASH]
        assert children
        for run in children:
            config = parse_config(json.loads(artifact(stored, run.run_id, "config.json")))
            assert config_hash(config) == run.tags[Tag.CONFIG_HASH]


def artifact(stored, run_id: str, name: str) -> str:
    return (stored.folder / "mlartifacts" / run_id / "artifacts" / name).read_text(encoding="utf-8")
