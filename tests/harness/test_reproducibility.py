"""What a run ran on is recorded whole, and a device is one that is there."""

import contextlib
import gc
import importlib.metadata
import json
import os
import subprocess
import sys

import pytest
import torch
import torch.utils.deterministic

from harness.config import with_settings
from harness.errors import BadInputError
from harness.provenance import environment as recorded
from harness.provenance.environment import environment
from harness.provenance.variables import numerical_variables
from harness.records import CONFIG_ARTIFACT, Stage, Tag
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import find_artifact, find_running, read_artifact, read_run
from harness.training.determinism import determinism, isolated, thread_limit
from harness.training.devices import resolve_device


def test_the_environment_names_machine_build_and_every_installed_distribution():
    environment.cache_clear()  # another test's command may have asked for it in this process
    here = environment()
    installed = {each.name: each.version for each in importlib.metadata.distributions()}
    assert here["packages"] == installed
    assert here["packages"]["torch"] == importlib.metadata.version("torch")
    assert here["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert here["cpu_features"]["sse2" if here["machine"] == "x86_64" else "neon"] is True
    assert "num_logical_cores" not in here["cpu_features"]
    assert here["argv"] == sys.argv
    assert here["processor"]
    assert len(here["gpus"]) == torch.cuda.device_count()
    assert json.loads(json.dumps(here)) == here


@pytest.mark.parametrize(
    ("name", "of_cpu", "of_cuda"),
    [
        ("ONEDNN_MAX_CPU_ISA", True, False),
        ("DNNL_MAX_CPU_ISA", True, False),
        ("MKL_CBWR", True, False),
        ("OMP_THREAD_LIMIT", True, False),
        ("TORCH_LINEAR_FLATTEN_3D", True, True),
        ("NVIDIA_TF32_OVERRIDE", False, True),
        ("CUBLAS_WORKSPACE_CONFIG", False, True),
        ("CUBLAS_EMULATE_SINGLE_PRECISION", False, True),
        ("OMP_NUM_THREADS", False, False),
        ("MKL_NUM_THREADS", False, False),
        ("MKL_DYNAMIC", False, False),
        ("KMP_AFFINITY", False, False),
        ("ONEDNN_VERBOSE", False, False),
        ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", False, False),
        ("CUDNN_LOGLEVEL_DBG", False, False),
        ("HOME", False, False),
    ],
)
def test_recorded_variables_are_those_that_can_change_numbers_on_the_device(name, of_cpu, of_cuda):
    here = {name: "1"}
    assert (name in numerical_variables(here, "cpu"), name in numerical_variables(here, "cuda:1")) == (
        of_cpu,
        of_cuda,
    )
    assert (name in numerical_variables(here)) == (of_cpu or of_cuda)


def test_a_variable_that_a_cuda_run_sets_itself_is_not_recorded(config, monkeypatch):
    for needs_a_gpu in ((torch.random, "fork_rng"), (torch.cuda, "device")):
        monkeypatch.setattr(*needs_a_gpu, lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    before = numerical_variables(os.environ)
    with isolated(with_settings(config, {"device": "cuda"})):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
        assert numerical_variables(os.environ) == before


@pytest.mark.long
def test_a_run_keeps_commit_and_diff_of_the_folder_it_ran_in(harness_json, project):
    def git(*arguments):
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        return subprocess.run(["git", *identity, *arguments], cwd=project, check=True, capture_output=True, text=True)

    git("init")
    (project / "notes.txt").write_text("one\n")
    git("add", "notes.txt")
    git("commit", "-m", "first")
    (project / "notes.txt").write_bytes("two, β\n".encode() + b"\xe9 is not UTF-8\n")
    small = ["--set", "dataset.train_size=640", "--set", "dataset.validation_size=320"]
    run_id = harness_json("run", "chapter", "--epochs", "1", "--device", "cpu", *small)["run_id"]
    tags = read_run(run_id).data.tags
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD").stdout.strip()
    assert tags["harness.git_dirty"] == "true"
    assert read_artifact(run_id, "git.diff").decode().endswith("+two, β\n+\\xe9 is not UTF-8\n")
    recorded = json.loads(read_artifact(run_id, "environment.json"))
    assert recorded["argv"][1:4] == ["run", "chapter", "--epochs"]
    assert recorded["packages"] == environment()["packages"]
    assert (tags["harness.threads"], tags["harness.seed"], tags["harness.device"]) == ("2", "0", "cpu")
    assert tags["harness.data_digest"].startswith("1e35582d")


@pytest.mark.long
def test_a_diff_that_takes_git_too_long_is_reported_as_unknown(harness_json, project, data, monkeypatch, caplog):
    def run(command, **options):
        if command[1] == "diff":
            raise subprocess.TimeoutExpired(command, options["timeout"])
        return subprocess.CompletedProcess(command, 0, b"0123abcd\n")

    monkeypatch.setattr(recorded.subprocess, "run", run)
    small = ["--set", "dataset.train_size=640", "--set", "dataset.validation_size=320"]
    run_id = harness_json("run", "chapter", "--epochs", "1", "--data-dir", "data", *small)["run_id"]
    assert caplog.messages == ["harness: `git diff HEAD` takes over 30 s; its answer is not recorded"]
    tags = read_run(run_id).data.tags
    assert (tags["mlflow.source.git.commit"], tags["harness.git_dirty"]) == ("0123abcd", "unknown")
    assert find_artifact(run_id, "git.diff") is None
    again = harness_json("reproduce", run_id, "--data-dir", "data")
    assert again["code"] == [{"what": "uncommitted changes", "then": "unknown", "now": "unknown"}]
    source = next(each for each in harness_json("doctor") if each["what"] == "source")
    assert source["found"] == "commit 0123abcd, with unknown changes"


@pytest.mark.long
def test_more_threads_than_the_environment_allows_are_refused_before_a_run_begins(
    harness, harness_json, project, data, monkeypatch
):
    small = ["--epochs", "1", "--set", "dataset.train_size=640", "--set", "dataset.validation_size=320"]
    run_id = harness_json("run", "chapter", "--data-dir", "data", *small)["run_id"]
    stopped = MlflowTracker().start_run("chapter", "stopped", {}, {Tag.STAGE: Stage.RUN})
    MlflowTracker().log_artifact(stopped, CONFIG_ARTIFACT, read_artifact(run_id, CONFIG_ARTIFACT))
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    for command in (("run", "chapter", *small), ("run", "--resume", stopped), ("reproduce", run_id)):
        result = harness(*command, "--data-dir", "data")
        assert result.returncode == 2, result.stderr
        (line,) = result.stderr.splitlines()
        assert line.startswith("harness: threads 2 is more than OMP_THREAD_LIMIT, which is 1: expected at most 1; ")
    assert len(find_running()) == 1, "only the stopped one"
    wrong = [each for each in json.loads(harness("doctor", "--json").stdout) if each["advice"]]
    assert [each["what"] for each in wrong] == ["threads"]
    assert harness("run", "chapter", "--set", "threads=1", "--data-dir", "data", *small).returncode == 0


@pytest.mark.parametrize(
    ("said", "limit"), [("3", 3), (" 3 ", 3), ("", None), ("0", None), ("-1", None), ("many", None)]
)
def test_a_limit_of_threads_is_a_number_of_one_or_more(monkeypatch, said, limit):
    monkeypatch.setenv("OMP_THREAD_LIMIT", said)
    assert thread_limit() == limit


def test_a_block_with_more_threads_than_the_environment_allows_is_refused(config, monkeypatch):
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    with isolated(config):
        pass
    with (
        pytest.raises(BadInputError, match="threads 2 is more than OMP_THREAD_LIMIT, which is 1"),
        isolated(with_settings(config, {"threads": 2})),
    ):
        pass


def test_auto_selects_an_available_device_and_other_names_are_refused():
    assert resolve_device("auto") in ("cpu", "cuda", "mps")
    assert resolve_device("cpu") == "cpu"
    for name in ("tpu", "cuda:99"):
        with pytest.raises(
            BadInputError, match=f"device '{name}' is not available: expected a device of this machine: auto, cpu"
        ):
            resolve_device(name)


def test_the_guarantee_of_each_device_is_described():
    assert "bit-identical for the same" in determinism("cpu")
    assert "bit-identical for the same" in determinism("cuda:1")
    assert "not bit-identical" in determinism("mps")


@pytest.mark.parametrize("collects", [True, False])
def test_settings_of_a_block_are_restored_after_it(config, collects, monkeypatch):
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    (gc.enable if collects else gc.disable)()
    try:
        with isolated(config):
            assert not gc.isenabled()
            assert not torch.utils.deterministic.fill_uninitialized_memory
        assert gc.isenabled() == collects
        assert torch.utils.deterministic.fill_uninitialized_memory
    finally:
        gc.enable()
