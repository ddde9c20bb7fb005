"""A project folder may be renamed or copied: its runs are read from where they are, and none writes where it was."""

import shutil
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service import utils

from harness.errors import BadInputError, BusyError
from harness.export import register_model
from harness.lock import only_process
from harness.run import begin_run, checkpoint_folder, complete_run
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import find_artifact, read_artifact, read_run
from tests import tiny
from tests.servers import MlflowServer


@pytest.fixture
def enter(project, monkeypatch):
    """Goes into a folder of that name, made where it is not there, with what a new process knows of its store."""

    def go(name: str) -> Path:
        folder = project / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        connect.cache_clear()
        utils._artifact_repos_cache.clear()
        return folder

    return go


def store_a_run(content: bytes = b"content") -> str:
    tracker = MlflowTracker()
    run_id = tracker.start_run("tiny", "a run", {}, {})
    tracker.log_artifact(run_id, "file.bin", content)
    return run_id


def stored_in(folder: Path) -> set[str]:
    return {path.parent.parent.name for path in folder.glob("mlartifacts/*/artifacts/file.bin")}


def test_runs_of_a_renamed_folder_are_read_and_new_runs_are_stored_in_it(enter, project):
    before = enter("old")
    first = store_a_run()
    now = before.rename(project / "new")
    enter("new")
    assert read_artifact(first, "file.bin") == b"content"
    second = store_a_run()
    assert stored_in(now) == {first, second}
    assert not before.exists()


def test_a_copied_folder_leaves_its_original_alone(enter, project):
    original = enter("old")
    first = store_a_run()
    copy = project / "copy"
    shutil.copytree(original, copy)
    enter("copy")
    second = store_a_run()
    (original / "mlartifacts" / first / "artifacts" / "file.bin").write_bytes(b"changed since")
    assert read_artifact(first, "file.bin") == b"content"
    assert (stored_in(original), stored_in(copy)) == ({first}, {first, second})


def test_artifacts_left_in_the_old_folder_are_read_from_there(enter, project):
    before = enter("old")
    moved, left = store_a_run(), store_a_run()
    now = before.rename(project / "new")
    shutil.move(now / "mlartifacts" / left, before / "mlartifacts" / left)
    enter("new")
    assert [read_artifact(run_id, "file.bin") for run_id in (moved, left)] == [b"content"] * 2


def test_an_artifact_folder_chosen_by_the_user_does_not_change(enter, project):
    enter("here")
    place = project / "large" / "mlartifacts"
    place.mkdir(parents=True)
    connect(tracking_uri()).create_experiment("tiny", place.as_uri())
    first = store_a_run()
    enter("here")
    second = store_a_run()
    assert stored_in(project / "large") == {first, second}


def test_a_path_that_only_begins_with_the_old_folders_path_is_not_changed(enter, project):
    before = enter("old")
    store_a_run()
    other = project / "old" / "mlartifacts-of-others"
    client = connect(tracking_uri())
    others = client.create_run(client.create_experiment("others", other.as_uri())).info.artifact_uri
    before.rename(project / "new")
    enter("new")
    run = connect(tracking_uri()).search_runs([client.get_experiment_by_name("others").experiment_id])[0]
    assert run.info.artifact_uri == others


def test_a_folder_renamed_during_a_run_is_refused_with_the_process_that_uses_it(enter, project):
    before = enter("old")
    run_id = store_a_run()
    before.rename(project / "new")
    enter("new")
    refused = r"was '.*old' when its runs were stored, and process \d+ on .* wait for the process"
    with only_process(checkpoint_folder(run_id), "run", run_id), pytest.raises(BusyError, match=refused):
        MlflowTracker()
    assert read_artifact(run_id, "file.bin") == b"content"


def test_a_missing_folder_is_named_if_its_database_is_elsewhere(enter, project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{(project / 'all.db').as_posix()}")
    before = enter("old")
    run_id = store_a_run()
    before.rename(project / "new")
    enter("new")
    for refused in (
        lambda: read_artifact(run_id, "file.bin"),
        lambda: find_artifact(run_id, "file.bin"),
        lambda: MlflowTracker().start_run("tiny", "another", {}, {}),
    ):
        with pytest.raises(
            BadInputError, match=r"files in the folder '.*old', which no longer exists: .* make a link"
        ):
            refused()
    assert not before.exists()
    before.symlink_to(project / "new")
    assert read_artifact(run_id, "file.bin") == b"content"


@pytest.mark.slow
def test_mlflow_serves_the_runs_models_and_files_of_a_renamed_folder(enter, project, config, data, harness):
    before = enter("run?a")
    shutil.copytree(project / data, data)
    tracker = MlflowTracker()
    opened = begin_run(config.model_copy(update={"epochs": 1}), tracker, "tiny", data)
    run_id = complete_run(opened, tracker, data).run_id
    register_model(run_id, "mine", data)
    now = before.rename(project / "a%20b")
    enter("a%20b")
    with tiny.one_figure():
        for command in (("report",), ("predict", "--data-dir", "data"), ("reproduce", "--data-dir", "data")):
            result = harness(*command, run_id)
            assert result.returncode == 0, result.stderr
    model = connect(tracking_uri()).get_model_version("mine", "1")
    assert model.source.startswith(f"{now.as_uri()}/mlartifacts/models/")
    assert read_run(run_id).info.artifact_uri.startswith(now.as_uri())
    server = MlflowServer(now, tracking_uri())
    server.start()
    try:
        query = urllib.parse.urlencode({"run_id": run_id, "path": "config.json"})
        with urllib.request.urlopen(f"{server.url}/get-artifact?{query}") as response:
            assert response.read() == read_artifact(run_id, "config.json")
    finally:
        server.kill()
    assert {path.name for path in project.iterdir() if path.is_dir()} == {"data", "a%20b"}
