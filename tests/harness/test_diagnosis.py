"""The doctor says what a run would use and what is wrong, and makes no store."""

import json

from tests.mnist_folder import write_mnist


def test_doctor_finds_no_problem_in_a_fresh_folder(harness_json, project):
    findings = {each["what"]: each for each in harness_json("doctor")}
    assert all(each["advice"] is None for each in findings.values())
    assert "1e35582d42a9" in findings["data"]["found"]
    assert findings["tracking store"]["found"].endswith("mlflow.db, which the first run creates")
    assert not (project / "mlflow.db").exists()
    assert findings.keys() >= {"device", "determinism", "processor", "threads", "versions", "source", "free disk"}


def test_doctor_reports_each_problem_with_advice_and_exits_1(harness, project, monkeypatch):
    (write_mnist(project / "data", train=100, test=100) / "MNIST" / "raw" / "t10k-images-idx3-ubyte").unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:secret@127.0.0.1:1/none")
    result = harness("doctor", "--data-dir", "data", "--json")
    assert result.returncode == 1
    assert "secret" not in result.stdout
    wrong = {each["what"]: each["advice"] for each in json.loads(result.stdout) if each["advice"]}
    assert wrong.keys() == {"data", "tracking store"}
    assert "--data-dir" in wrong["data"]
    assert "MLFLOW_TRACKING_URI" in wrong["tracking store"]
    on_terminal = harness("doctor", "--data-dir", "data")
    assert on_terminal.returncode == 1
    assert on_terminal.stdout.count("WRONG") == 2
    assert len(on_terminal.stdout.splitlines()) < 24
