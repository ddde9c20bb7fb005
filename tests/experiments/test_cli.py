"""The command line: results as JSON, bad input as one line with exit code 2 and no run left behind."""

import json
import re
import signal
import socket
import urllib.request
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from harness.tracking.connection import connect, tracking_uri
from harness.tracking.read import read_artifact, read_run
from harness.training.devices import fast_settings
from harness.training.state import RunState
from studies.forecast import BESIDES
from tests import tiny
from tests.servers import free_port

SMALL = ["--data-dir", "data", "--set", "dataset.train_size=320", "--set", "dataset.validation_size=160"]


def all_runs():
    client = connect(tracking_uri())
    return client.search_runs([each.experiment_id for each in client.search_experiments()])


def test_the_version_option_prints_the_packages_version(harness):
    assert harness("--version").stdout == version("optimizer-harness") + "\n"


def test_harness_without_a_command_prints_its_help(harness):
    result = harness()
    assert (result.returncode, result.stderr) == (2, "")
    assert "Usage:" in result.stdout


def test_list_names_the_chapter(harness_json):
    assert "chapter" in [each["name"] for each in harness_json("list")]


@pytest.mark.parametrize(
    "command",
    ["status", "leaderboard", "report", "export", "compare a b", "predict a", "reproduce a", "register --name mine"],
)
@pytest.mark.parametrize(
    ("given", "next_step"),
    [("sqlite:///typo.db", "correct or unset MLFLOW_TRACKING_URI"), ("", "run a sweep first, or go to the folder")],
)
def test_a_command_that_reads_makes_no_store_where_there_is_none(
    harness, project, monkeypatch, command, given, next_step
):
    if given:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    refused = harness(*command.split())
    assert refused.returncode == 2, refused.stderr
    said = f"tracking store '{tracking_uri()}' does not exist: expected a store with runs; {next_step}"
    assert refused.stderr.startswith(f"harness: {said}")
    assert len(refused.stderr.splitlines()) == 1
    assert not list(project.glob("*.db"))


def test_ui_refuses_a_given_store_that_does_not_exist_and_makes_none(harness, project, monkeypatch):
    monkeypatch.setattr("os.execve", lambda *_: None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///typo.db")
    refused = harness("ui", "--port", str(free_port()))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
    assert "'sqlite:///typo.db' does not exist: expected a store with runs; correct or unset MLFLOW" in refused.stderr
    assert not list(project.glob("*.db"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert harness("ui", "--port", str(free_port())).returncode == 0
    assert [each.name for each in project.glob("*.db")] == ["mlflow.db"]


def test_run_is_tracked_epoch_by_epoch(harness_json, data):
    record = harness_json("run", "chapter", "--epochs", "2", "--device", "cpu", *SMALL)
    run = read_run(record["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["harness.outcome"] == "completed"
    assert run.data.params["optimizer.lr"] == "0.5"
    history = connect(tracking_uri()).get_metric_history(record["run_id"], "test/accuracy")
    assert [point.step for point in history] == [1, 2]
    assert [point.value for point in history] == [epoch["test_accuracy"] for epoch in record["epochs"]]
    assert RunState.from_bytes(read_artifact(record["run_id"], "state.pt")).hash() == record["state_hash"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("by_exit", "error"), [("false", "ArithmeticError: too old"), ("true", "SystemExit: too old")]
)
def test_a_run_that_the_users_code_ends_says_where_and_how_it_is_resumed(harness, project, by_exit, error):
    sizes = {"train": 240, "validation": 80, "test": 80}
    settings = {"dataset.name": "tests.own.shapes:bars", "model.name": "tests.own.shapes:Ageing", "threads": 1}
    settings |= {f"dataset.{part}_size": size for part, size in sizes.items()} | {"model.by_exit": by_exit}
    said = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    result = harness("run", "chapter", "--epochs", "9", "--quiet", *said)
    assert result.returncode == 1, result.stderr
    (run,) = all_runs()
    run_id = run.info.run_id
    assert 'shapes.py", line' in result.stderr
    assert re.search(rf"^This was in epoch [1-9] of run {run_id}\.$", result.stderr, re.MULTILINE)
    assert result.stderr.endswith(
        f"harness: to resume: harness run --resume {run_id}\n"
        f"harness: run failed, {error} (run {run_id}); all earlier work is kept\n"
    )


def test_a_diverged_run_is_reported_and_exits_1(harness, data):
    exploding = ["optimizer.name=sgd", "optimizer.lr=1e6", "optimizer.weight_decay=1"]
    settings = [word for setting in exploding for word in ("--set", setting)]
    result = harness("run", "chapter", "--device", "cpu", *SMALL, *settings)
    assert result.returncode == 1, result.stderr
    assert "diverged" in result.stderr
    (run,) = all_runs()
    assert (run.info.status, run.data.tags["harness.outcome"]) == ("FAILED", "diverged")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "chaptr"],
        ["run", "chapter", "--set", "optimizer.name=adamm"],
        ["run", "chapter", "--device", "tpu"],
        ["run", "chapter", "--device", "cuda:99"],
        ["run", "chapter", "--set", "lr=0.1"],
        ["run", "chapter", "--set", "optimizer.lr=0"],
        ["run", "chapter", "--set", "optimizer.lr=-1"],
        ["run", "chapter", "--set", "optimizer.lr=nan"],
        ["run", "chapter", "--set", "optimizer.lr=fast"],
        ["run", "chapter", "--set", "batch_size=0"],
        ["run", "chapter", "--set", "batch_size=60001"],
        ["run", "chapter", "--set", "model.dropout=[1.0,0.25]"],
        ["run", "chapter", "--set", "model.dropout=[0.1,-0.1]"],
        ["run", "chapter", "--epochs", "0"],
        ["run", "chapter", "--seed", "-1"],
        ["run", "chapter", "--seed", str(2**64)],
        ["run", "chapter", "--data-dir", "missing"],
        ["run", "chapter", "--set", "optimizer.lr"],
        ["run", "chapter", "--nonsense"],
        ["run", "smoke"],
        ["sweep", "smokey"],
        ["sweep", "smoke", "--trials", "0"],
        ["sweep", "smoke", "--workers", "two"],
        ["sweep", "smoke", "--data-dir", "missing"],
        ["sweep", "chapter"],
        ["sweep", "smoke", "--executor", "cluster"],
        ["sweep", "smoke", "--sampler", "bayes"],
        ["sweep", "smoke", "--sampler", "grid", "--no-pruning"],
        ["report"],
        ["report", "no-such-sweep"],
        ["predict", "no-such-run"],
    ],
    ids=" ".join,
)
def test_bad_input_prints_one_line_exits_2_and_leaves_no_run(project, harness, arguments):
    result = harness(*arguments)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stdout == ""
    assert not (project / "mlartifacts").exists()


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("swep", "Did you mean 'sweep'? `harness --help`"),
        ("--verson", "(Possible options: --version); `harness --help`"),
        ("sweep smoke --trails 3", "--trials"),
        ("sweep smok", "did you mean 'smoke'?"),
        ("run chapter --set optimizr.lr=1", "did you mean 'optimizer.lr'?"),
        ("run chapter --set optimizer.name=adm", "did you mean 'adam'?"),
        ("run chapter --device cpuu", "did you mean 'cpu'?"),
        ("sweep smoke --sampler sobl", "did you mean 'sobol'?"),
        ("sweep smoke --executor lokal --dry-run", "did you mean 'local'?"),
        ("export --format cvs", "did you mean 'csv'?"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_closest_valid_name(harness, arguments, meant):
    result = harness(*arguments.split())
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert meant in result.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("sweep opt", ["optimizers", "optimizers-full"]), ("run ", ["chapter"]), ("swe", ["sweep"])],
)
def test_the_shell_completes_commands_and_the_experiments_of_each(harness, monkeypatch, typed, offered):
    monkeypatch.setenv("_HARNESS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"harness {typed}")
    monkeypatch.setenv("COMP_CWORD", str(1 + typed.count(" ")))
    assert harness().stdout.split() == offered


def test_a_store_that_cannot_be_reached_is_bad_input(harness, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:secret@127.0.0.1:1/none")
    result = harness("run", "chapter", "--epochs", "1", *SMALL)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "secret" not in result.stderr


def test_an_output_folder_that_cannot_be_written_is_bad_input_before_anything_runs(harness, project):
    (project / ".harness").write_text("a file where the folder should be")
    for arguments in (["run", "chapter"], ["sweep", "smoke"]):
        result = harness(*arguments)
        assert result.returncode == 2, result.stderr
        assert "output folder '.harness' can't be written" in result.stderr
    assert not (project / "mlflow.db").exists()


@pytest.mark.slow
def test_a_sweep_prints_what_its_report_says_and_its_status(harness, harness_started, harness_json, project, data):
    started = harness_started(*tiny.ARGUMENTS, "--json", "--executor", "inline", module="tests.tiny")
    printed = started.end_with(0)
    result = json.loads(printed[printed.index("\n{") :])
    for name, each in result["optimizers"].items():
        assert (each["epochs_spent"], len(each["finals"])) == (8, 2), name
        assert each["ci"][0] < each["mean"] < each["ci"][1]
    stored = json.loads(read_artifact(result["sweep_id"], "report/report.json"))
    assert result == stored | {"report": result["report"]}
    assert result["answer"][0] == "Undecided: 2 seeds are too few to compare optimizers."
    status = harness_json("status")
    assert (status["outcome"], status["epochs_done"], status["process"]) == ("completed", 24, None)
    assert "on a subset of the data: its accuracies mean nothing" in harness("status").stdout
    page = project / result["report"]
    assert page.read_bytes() == read_artifact(result["sweep_id"], "report/report.html")
    assert "Subset." in page.read_text(encoding="utf-8")

    board = harness_json("leaderboard")
    best = max(each["best_validation_accuracy"] for each in result["optimizers"].values())
    assert best in [run["validation_accuracy"] for run in board if run["stage"] == "trial"]
    assert all(len(line) <= 80 for line in harness("leaderboard").stdout.splitlines())
    one, other = board[0]["run_id"], board[1]["run_id"]
    assert list(harness_json("compare", one, other)["validation/accuracy"]) == [one, other]
    assert harness("export").stdout.count("\n") == 1 + sum(run["epochs"] for run in board)
    assert harness("export", "--format", "parquet", "--out", "all.parquet").returncode == 0
    assert (project / "all.parquet").read_bytes()[:4] == b"PAR1"
    for wrong in (["--format", "xml"], ["--format", "parquet"], ["--out", "missing/all.csv"]):
        refused = harness("export", *wrong)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)

    (project / "file").touch()
    refused = harness("report", "--out", "file/folder")
    assert refused.returncode == 2
    assert "output folder 'file/folder' can't be written" in refused.stderr


@pytest.mark.long
def test_a_single_run_has_a_report_and_two_runs_are_compared(harness, harness_json, data):
    one, other = (harness_json("run", "chapter", "--epochs", "1", "--seed", seed, *SMALL)["run_id"] for seed in "12")
    alone = Path(harness_json("report", one)["report"])
    assert alone.parent.name == one
    assert "<h1>chapter: one run</h1>" in alone.read_text(encoding="utf-8")
    together = Path(harness_json("report", one, other)["report"]).read_text(encoding="utf-8")
    assert '<th scope="row">final_seeds.<wbr>0</th><td>1</td><td>2</td>' in together
    same = harness("report", one, one)
    assert (same.returncode, len(same.stderr.splitlines())) == (2, 1)


@pytest.mark.long
def test_dry_run_says_what_would_be_done_and_does_nothing(harness, project):
    plan = ("sweep", "planted", "--dry-run", "--executor", "inline")
    result = harness(*plan)
    assert result.returncode == 0, result.stderr
    assert "24 epochs of 50,000 images; per optimizer 3 times 2 epochs of trials of 1 epoch" in result.stdout
    assert re.search(r"^about \d.* with 1 worker,", result.stdout, re.MULTILINE)
    assert "1e-05 to 0.03, log-uniform" in result.stdout
    assert "optimizer.betas.0" not in result.stdout
    more = harness(*plan, "--trials", "10", "--sampler", "sobol", "--no-pruning")
    assert "10 epochs of trials of 1 epoch (sobol)" in more.stdout
    assert "1 - value 0.02 to 0.5, log-uniform, from 0.9" in more.stdout
    assert list(project.iterdir()) == []


@pytest.mark.long
def test_the_fast_profile_is_in_the_config_and_explicit_settings_override_it(harness_json, data):
    profile = fast_settings("cpu")
    assert profile["memory_format"] == "channels_last"
    config = harness_json("run", "chapter", "--epochs", "1", "--device", "cpu", "--fast", *SMALL)["config"]
    assert {key: config[key] for key in profile} == profile
    slower = harness_json("run", "chapter", "--epochs", "1", "--fast", "--set", "precision=float32", *SMALL)["config"]
    assert (slower["precision"], slower["memory_format"]) == ("float32", "channels_last")
    plan = harness_json("sweep", "planted", "--dry-run", "--fast", "--executor", "inline")
    assert {key: plan["base"][key] for key in profile} == profile
    assert (plan["total_epochs"], plan["workers"]) == (24, 1)
    assert plan["seconds"] > BESIDES


@pytest.mark.slow
def test_ui_serves_the_projects_runs_on_this_machine_only(harness_started, harness_json, harness, data):
    record = harness_json("run", "chapter", "--epochs", "1", *SMALL)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        refused = harness("ui", "--port", str(port))
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
    ui = harness_started("ui", "--port", str(port))
    ui.wait_for("Application startup complete")
    url = f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/get?run_id={record['run_id']}"
    with urllib.request.urlopen(url) as response:
        assert json.load(response)["run"]["info"]["status"] == "FINISHED"
    connections = {f"{each.laddr.ip}:{each.laddr.port}" for each in listening(ui.pid)}
    assert connections == {f"127.0.0.1:{port}"}
    ui.signal_group(signal.SIGTERM)


def listening(pid: int):
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return [each for one in family for each in one.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
