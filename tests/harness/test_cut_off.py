"""A run that only seems to run, because what began it was killed, is named with what ends it; no other one is."""

import json
import os
import platform
import shutil
import subprocess
import sys

import pytest

from experiments.cli.steps import next_step
from harness.cut_off import cut_off_runs
from harness.lock import only_process, this_process
from harness.paths import work_folder
from harness.records import CONFIG_ARTIFACT, Outcome, Stage, Tag
from harness.run import begin_run, complete_run
from harness.tracking.mlflow import MlflowTracker


@pytest.fixture
def dead():
    """A process that has ended, in words."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"process {process.pid} on {platform.node()}"


@pytest.fixture
def tracker(project):
    return MlflowTracker()


def start(tracker, stage: Stage, process: str, experiment: str = "tiny", **tags: str) -> str:
    run_id = tracker.start_run(experiment, "a run", {}, {Tag.STAGE: stage, **tags})
    if stage in (Stage.RUN, Stage.SWEEP):
        tracker.set_tags(run_id, {Tag.PROCESS: process})
    return run_id


def start_sweep(tracker, process: str, sequence: int) -> str:
    sweep_id = start(tracker, Stage.SWEEP, process, **{Tag.SEQUENCE: f"{sequence:08}"})
    work_folder("sweeps", sweep_id).mkdir(parents=True)
    return sweep_id


def named() -> dict[str, str]:
    return {each.run_id: next_step(each) for each in cut_off_runs()}


def test_a_cut_off_run_gets_commands_to_resume_it_if_it_has_a_config_and_to_delete_it(tracker, dead):
    at_once, with_config = start(tracker, Stage.RUN, dead), start(tracker, Stage.RUN, dead)
    tracker.log_artifact(with_config, CONFIG_ARTIFACT, b"{}")
    delete = {run_id: f"`mlflow runs delete --run-id {run_id}` closes it" for run_id in (at_once, with_config)}
    assert named() == {
        at_once: delete[at_once],
        with_config: f"`harness run --resume {with_config}` resumes it, or {delete[with_config]}",
    }


@pytest.mark.long
def test_the_suggested_command_ends_a_cut_off_run(config, data, tracker, dead, harness):
    run_id = begin_run(config.model_copy(update={"epochs": 1}), tracker, "tiny", data).run_id
    tracker.set_tags(run_id, {Tag.PROCESS: dead})
    assert run_id in named()
    result = harness("run", "--resume", run_id, "--data-dir", "data")
    assert result.returncode == 0, result.stderr
    assert named() == {}


def test_a_cut_off_sweep_is_named_once_and_only_the_latest_can_be_resumed(tracker, dead):
    before, last = start_sweep(tracker, dead, 1), start_sweep(tracker, dead, 2)
    start(tracker, Stage.TRIAL, dead, **{Tag.SWEEP_ID: last})
    found = named()
    assert found.keys() == {before, last}
    assert found[last].startswith("`harness sweep tiny` resumes it, or `mlflow runs delete")
    assert found[before] == f"`mlflow runs delete --run-id {before}` closes it"


def test_an_open_trial_is_resumed_with_its_stopped_sweep_but_not_with_a_completed_sweep(tracker, dead):
    sweep_id = start_sweep(tracker, dead, 1)
    trial = start(tracker, Stage.TRIAL, dead, **{Tag.SWEEP_ID: sweep_id})
    tracker.end_run(sweep_id, Outcome.KILLED)
    assert named()[trial].startswith("`harness sweep tiny` resumes it")
    tracker.end_run(sweep_id, Outcome.COMPLETED)
    assert named() == {trial: f"`mlflow runs delete --run-id {trial}` closes it"}


def test_runs_that_ended_or_have_a_process_are_not_named(config, data, tracker, dead):
    complete_run(begin_run(config.model_copy(update={"epochs": 1}), tracker, "tiny", data), tracker, data)
    beginning = start(tracker, Stage.RUN, this_process())
    locked = start(tracker, Stage.RUN, dead)
    with only_process(work_folder("runs", locked), "run", locked):
        assert named() == {}
    assert named().keys() == {locked}
    assert beginning not in named()


def test_runs_of_another_folder_or_machine_are_not_named(tracker, dead):
    run_id = start(tracker, Stage.RUN, dead)
    tracker.set_tags(run_id, {Tag.FOLDER: "/somewhere/else"})
    assert named() == {}
    work_folder("runs", run_id).mkdir(parents=True)  # it came along when the folder was renamed
    assert named().keys() == {run_id}
    tracker.set_tags(run_id, {Tag.PROCESS: "process 1 on another-machine"})
    assert named() == {}


def test_a_run_of_another_users_process_is_not_named(tracker, dead, monkeypatch):
    def forbidden(*_):
        raise PermissionError

    run_id = start(tracker, Stage.RUN, dead)
    assert named().keys() == {run_id}
    monkeypatch.setattr(os, "kill", forbidden)
    assert named() == {}


def test_a_run_without_a_recorded_process_is_named_if_its_folder_is_here(tracker, dead):
    run_id = tracker.start_run("tiny", "a run", {}, {Tag.STAGE: Stage.TRIAL})  # which has no process of its own
    tracker.set_tags(run_id, {Tag.STAGE: Stage.RUN})
    assert named() == {}
    work_folder("runs", run_id).mkdir(parents=True)
    assert named().keys() == {run_id}


def test_doctor_and_status_name_a_cut_off_run_even_without_a_sweep(tracker, dead, harness):
    run_id = start(tracker, Stage.RUN, dead)
    (wrong,) = [each for each in json.loads(harness("doctor", "--json").stdout) if each["advice"]]
    assert (wrong["what"], wrong["found"]) == ("cut off", f"run {run_id}")
    line = f"harness: run {run_id} was cut off: `mlflow runs delete --run-id {run_id}` closes it"
    assert line in harness("status").stderr.splitlines()


def test_status_lists_cut_off_runs_as_json_too(tracked, monkeypatch, tmp_path, dead, harness):
    shutil.copytree(tracked.folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    run_id = start(MlflowTracker(), Stage.RUN, dead)
    assert json.loads(harness("status", "--json").stdout)["cut_off"] == [
        {"run_id": run_id, "stage": "run", "next_step": f"`mlflow runs delete --run-id {run_id}` closes it"}
    ]
