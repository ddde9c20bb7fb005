"""The command line: results as JSON, bad input as one line with exit code 2 and no run left behind."""

import pytest


def test_list_names_the_chapter(harness_json):
    assert "chapter" in [each["name"] for each in harness_json("list")]


SMALL = ["--set", "dataset.train_size=640", "--set", "dataset.validation_size=320"]


def test_run_is_tracked_epoch_by_epoch(harness_json, project):
    record = harness_json("run", "chapter", "--epochs", "2", "--device", "cpu", *SMALL)
    from harness.tracking import connect, read_artifact, read_run, tracking_uri

    run = read_run(record["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["harness.outcome"] == "completed"
    assert run.data.params["optimizer.lr"] == "0.5"
    history = connect(tracking_uri()).get_metric_history(record["run_id"], "test/accuracy")
    assert [point.step for point in history] == [1, 2]
    assert [point.value for point in history] == [epoch["test_accuracy"] for epoch in record["epochs"]]
    from harness.state import RunState

    assert RunState.from_bytes(read_artifact(record["run_id"], "state.pt")).hash() == record["state_hash"]

    seen = harness_json("predict", record["run_id"], "--index", "0")
    assert seen["ground_truth"] == 7
    assert seen["prediction"] == max(range(10), key=seen["probabilities"].__getitem__)
    assert abs(sum(seen["probabilities"]) - 1) < 1e-5


def test_a_diverged_run_says_where_and_exits_1(harness, project):
    exploding = ["optimizer.name=sgd", "optimizer.lr=1e6", "optimizer.weight_decay=1"]
    settings = [word for setting in exploding for word in ("--set", setting)]
    result = harness("run", "chapter", "--device", "cpu", *SMALL, *settings)
    assert result.returncode == 1, result.stderr
    assert "diverged" in result.stderr
    from harness.tracking import connect, tracking_uri

    client = connect(tracking_uri())
    ids = [each.experiment_id for each in client.search_experiments()]
    (run,) = client.search_runs(ids)
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
        ["sweep", "chapter"],
        ["sweep", "smoke", "--executor", "cluster"],
        ["report"],
        ["report", "no-such-sweep"],
        ["predict", "no-such-run"],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_exit_2_and_no_run(harness, project, arguments):
    result = harness(*arguments)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stdout == ""
    assert not (project / "mlartifacts").exists()


def test_a_store_that_cannot_be_reached_is_bad_input(harness, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:secret@127.0.0.1:1/none")
    result = harness("run", "chapter", "--epochs", "1", *SMALL)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "secret" not in result.stderr
