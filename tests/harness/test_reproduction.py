"""A recorded run is proved, or refuted at its first difference, from nothing but what MLflow holds of it."""

import json
import shutil
import time

import pytest

from harness.config import with_settings
from harness.errors import BadInputError, WorkFailedError
from harness.open_run import close_broken_run, close_run, record_slice
from harness.records import POINT_ACCURACY, Outcome, Stage, Tag
from harness.reproduce import reproduce
from harness.run import begin_run, complete_run
from harness.slices import train_slice
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import read_sweep
from studies.definition import SweepDefinition
from studies.executors.pool import open_pool
from studies.space import Range
from studies.sweep import run_sweep
from tests.started import run_anew


@pytest.fixture
def config(config):
    """Return the config with half as many images and the same number of steps."""
    return with_settings(
        config, {"dataset.train_size": 320, "dataset.validation_size": 80, "batch_size": config.batch_size // 2}
    )


@pytest.fixture
def tracked(project, data):
    def run(config):
        tracker = MlflowTracker()
        record = complete_run(begin_run(config, tracker, "tiny", data), tracker, data)
        shutil.rmtree(project / ".harness")  # nothing but MLflow's record may be read
        return record.run_id

    return run


def overwrite(run_id: str, metric: str, epoch: int, value: float):
    connect(tracking_uri()).log_metric(run_id, metric, value, int(time.time() * 1000), epoch)


@pytest.mark.long
def test_a_run_is_reproduced_bit_by_bit(config, tracked, data):
    result = reproduce(tracked(config), data)
    assert result.has_final_state
    assert result.first_difference is None
    assert result.environment == result.code == ()
    assert len(result.comparisons) == 2 * 6
    assert all(each.recorded == each.reproduced for each in result.comparisons)


@pytest.mark.long
def test_the_first_differing_epoch_and_metric_are_named_and_exit_1(config, tracked, harness, data):
    run_id = tracked(config)
    overwrite(run_id, "validation/loss", 2, 0.125)
    overwrite(run_id, "test/accuracy", 2, 0.5)
    result = harness("reproduce", run_id, "--data-dir", "data")
    assert result.returncode == 1, result.stderr
    assert "not reproduced: epoch 2, validation/loss: recorded 0.125 nats, now" in result.stdout.replace("\n", " ")
    assert result.stdout.count("DIFFERS") == 2
    assert "50.00%" in result.stdout
    assert "epoch  metric" in result.stdout
    assert "train/loss" not in result.stdout, "which is as it was recorded"
    document = json.loads(harness("reproduce", run_id, "--data-dir", "data", "--json").stdout)
    assert document["first_difference"].startswith("epoch 2, validation/loss")


@pytest.mark.long
def test_a_different_final_state_is_reported(config, tracked, data):
    run_id = tracked(config)
    connect(tracking_uri()).set_tag(run_id, Tag.STATE_HASH, "0" * 64)
    assert reproduce(run_id, data).first_difference.startswith(f"state hash: recorded {'0' * 64}, now ")


@pytest.mark.slow
def test_a_different_instruction_set_is_named_and_compared_within_the_tolerance(config, tracked, monkeypatch, data):
    run_id = tracked(config)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")  # read once, when torch is imported
    result = run_anew("reproduce", run_id, "--data-dir", "data")
    assert result.returncode == 0, result.stdout
    assert "environment differs: cpu_capability was" in result.stdout
    assert "losses within 25%" in result.stdout
    assert "bit by bit" not in result.stdout
    overwrite(run_id, "validation/accuracy", 1, 0.01)
    refuted = run_anew("reproduce", run_id, "--data-dir", "data")
    assert refuted.returncode == 1
    assert "not reproduced: epoch 1, validation/accuracy" in refuted.stdout


def with_variables(project, variables):
    """Have the one recorded environment hold these, or be one of before they were recorded."""
    (path,) = (project / "mlartifacts").rglob("environment.json")
    recorded = json.loads(path.read_text())
    recorded.pop("variables")
    path.write_text(json.dumps(recorded if variables is None else recorded | {"variables": variables}))


@pytest.mark.long
def test_a_different_numerical_variable_is_named_and_compared_within_the_tolerance(config, tracked, project, data):
    run_id = tracked(config)
    with_variables(project, {"ONEDNN_MAX_CPU_ISA": "AVX2", "NVIDIA_TF32_OVERRIDE": "1"})
    connect(tracking_uri()).set_tag(run_id, Tag.STATE_HASH, "0" * 64)
    result = reproduce(run_id, data)
    (changed,) = result.environment
    assert (changed.what, changed.then, changed.now) == ("ONEDNN_MAX_CPU_ISA", "AVX2", None)
    assert result.first_difference is None
    with_variables(project, None)
    assert reproduce(run_id, data).environment == ()


@pytest.mark.slow
def test_a_command_records_the_variables_that_it_runs_with(config, tracked, monkeypatch, data):
    run_id = tracked(config)
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")  # read once, when torch first computes
    monkeypatch.setenv("MKL_VERBOSE", "0")
    result = run_anew("reproduce", run_id, "--data-dir", "data")
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("environment differs: ") == 1
    assert "environment differs: MKL_CBWR was None, now COMPATIBLE" in result.stdout


@pytest.mark.long
def test_an_edited_file_of_own_parts_is_named_as_changed_code(kit, tracked):
    run_id = tracked(kit.config)
    assert reproduce(run_id).code == ()
    kit.edit_imported("WIDTH = 4  # edited\n")
    (changed,) = reproduce(run_id).code
    assert changed.what == "kit_parts/width.py"
    assert changed.then != changed.now


@pytest.mark.long
def test_a_run_of_an_unavailable_device_is_compared_on_an_available_one(config, tracked, project, data):
    run_id = tracked(config)
    (recorded,) = (project / "mlartifacts").rglob("config.json")
    recorded.write_text(with_settings(config, {"device": "cuda:77"}).model_dump_json())
    result = reproduce(run_id, data)
    assert [(each.what, each.then) for each in result.environment if each.what == "device"] == [("device", "cuda:77")]
    assert result.first_difference is None


def test_a_diverged_run_diverges_again_at_the_same_step(config, tracked, data):
    wild = {"optimizer.name": "sgd", "optimizer.lr": 1e6, "optimizer.weight_decay": 1.0}
    run_id = tracked(with_settings(config, wild))
    assert reproduce(run_id, data).first_difference is None
    connect(tracking_uri()).set_tag(run_id, Tag.DIVERGENCE, '{"epoch":1,"step":0,"split":"train"}')
    assert reproduce(run_id, data).first_difference.startswith('divergence: recorded {"epoch":1,"step":0')


@pytest.fixture
def pruned(config, data):
    """A run of 20 steps an epoch that ended after the 10th step of its second epoch."""
    tracker = MlflowTracker()
    run = begin_run(config, tracker, "tiny", data)
    for steps in (7, None, 4, 6):
        record_slice(tracker, run, train_slice(config, run.checkpoint.state, run.splits, data, steps=steps))
    assert close_run(tracker, run)[1] is Outcome.PRUNED
    return run.run_id


@pytest.mark.long
def test_a_run_that_ended_within_an_epoch_is_reproduced_up_to_its_last_step(pruned, data):
    result = reproduce(pruned, data)
    assert result.first_difference is None
    of_points = {each.epoch for each in result.comparisons if each.metric == POINT_ACCURACY}
    assert of_points == {1.1, 1.25, 1.35, 1.5}  # every eighth, in whole batches
    assert len(result.comparisons) == 6 + 2 * 4
    last = connect(tracking_uri()).get_metric_history(pruned, POINT_ACCURACY)[-1]
    overwrite(pruned, POINT_ACCURACY, last.step, 0.5)
    assert reproduce(pruned, data).first_difference.startswith(f"epoch 1.5, {POINT_ACCURACY}: recorded 0.5, now")


@pytest.mark.long
@pytest.mark.parametrize("slices", [(5,), (None, 9)])
def test_a_run_stopped_within_an_epoch_is_reproduced_up_to_its_last_record(config, data, slices):
    tracker = MlflowTracker()
    run = begin_run(config, tracker, "tiny", data)
    for steps in slices:
        record_slice(tracker, run, train_slice(config, run.checkpoint.state, run.splits, data, steps=steps))
    close_broken_run(tracker, run.run_id, Outcome.KILLED, KeyboardInterrupt())
    result = reproduce(run.run_id, data)
    assert result.first_difference is None
    assert not result.has_final_state, "a stopped run records none"
    assert len([each for each in result.comparisons if each.metric == POINT_ACCURACY]) > 2
    assert len([each for each in result.comparisons if each.metric == "train/loss"]) == len(slices) - 1


@pytest.mark.slow
def test_trials_and_finals_of_a_parallel_sweep_are_reproduced_one_by_one(config, data):
    definition = SweepDefinition(
        base=config,
        optimizers=("rmsprop", "adam"),
        space={"model.dropout.0": Range(low=0, high=0.5)},
        spaces={name: {"optimizer.lr": Range(low=1e-4, high=1e-2, log=True)} for name in ("rmsprop", "adam")},
        budget=6,
        trial_epochs=2,
        final_seeds=(1, 2),
        final_epochs=2,
    )
    with open_pool("local", 2, data) as pool:
        sweep_id = run_sweep("tiny", definition, MlflowTracker(), pool).sweep_id
    _, children = read_sweep(sweep_id)
    for stage, metrics in ((Stage.TRIAL, 4), (Stage.FINAL, 6)):
        last = [each for each in children if each.tags[Tag.STAGE] == stage][-1]
        result = reproduce(last.run_id, data)
        assert result.first_difference is None
        assert len(result.comparisons) == metrics * len(last.history["train/loss"])
    with pytest.raises(BadInputError, match="is a sweep: expected a run, trial or final"):
        reproduce(sweep_id, data)


def test_a_run_without_a_whole_epoch_or_with_other_data_is_refused(config, tracked, project, data):
    tracker = MlflowTracker()
    begun = begin_run(config, tracker, "tiny", data)
    with pytest.raises(BadInputError, match="has no whole epoch"):
        reproduce(begun.run_id, data)
    tracker.set_tags(begun.run_id, {Tag.DATA_DIGEST: "0" * 64})
    with pytest.raises(BadInputError, match="digest"):
        reproduce(begun.run_id, data)
    with pytest.raises(BadInputError, match="unknown"):
        reproduce("missing", data)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "line", "error"),
    [("divides", "1 / 0", "ZeroDivisionError: division by zero"), ("exits", "raise SystemExit(3)", "SystemExit: 3")],
)
def test_a_reproduction_that_the_users_code_ends_says_where_and_what_to_do(
    harness_json, harness, project, name, line, error
):
    (project / f"{name}.py").write_text(
        "from pathlib import Path\n\nfrom torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Flatten(), nn.Linear(64, 10))\n\n"
        "    def forward(self, images):\n"
        f"        if Path('broken').exists():\n            {line}\n        return super().forward(images)\n"
    )
    own = [word for key in (f"model.name={name}:Net", "dataset.name=digits", "threads=1") for word in ("--set", key)]
    run_id = harness_json("run", "chapter", "--epochs", "1", *own)["run_id"]
    (project / "broken").touch()
    result = harness("reproduce", run_id, "--quiet")
    assert result.returncode == 1, result.stderr
    assert f'{name}.py", line 12' in result.stderr
    assert result.stderr.endswith(
        f"\nharness: reproduction failed in epoch 1, {error}; correct the cause, most often in your own code, "
        f"and run the same command again (run {run_id}); all earlier work is kept\n"
    )


@pytest.mark.long
def test_a_failed_reproduction_names_the_files_that_changed_since_the_run(kit, tracked, monkeypatch):
    run_id = tracked(kit.config)
    kit.edit_imported("WIDTH = 4  # edited\n")
    monkeypatch.setattr("harness.reproduce.train_slice", lambda *_, **__: 1 / 0)
    with pytest.raises(
        WorkFailedError, match=r"your own code \(changed since the run: kit_parts/width\.py\), and run"
    ):
        reproduce(run_id)
