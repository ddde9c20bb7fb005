"""What a version to come may add, a metric of an epoch or a field, leaves what was stored before it as it is."""

import functools
import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from harness import reproduce as reproducing
from harness.config import RunConfig, canonical_json, config_hash, parse_config
from harness.config.datasets import AugmentationConfig
from harness.errors import BadInputError
from harness.records import METRIC_NAMES, Divergence, EpochMetrics
from harness.reproduce import reproduce
from harness.run import begin_run, complete_run, record_slice, resume_run, train_slice
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import read_sweep, read_tracked_run
from harness.training import checkpoint as checkpoints
from harness.training import loop
from harness.training.checkpoint import Checkpoint, load_latest, save
from harness.training.state import RunState
from studies import beginning
from studies.definition import SweepDefinition
from studies.executors.pool import open_pool
from studies.sweep import run_sweep
from tests.compatibility.stored import COMMITS, texts

METRIC = "train/gradient_norm"
ADDED = "a field that is added belongs into `added_later` of its class"


class LaterMetrics(EpochMetrics):
    gradient_norm: float | None = None


class LaterAugmentation(AugmentationConfig):
    added_later: ClassVar[frozenset[str]] = AugmentationConfig.added_later | {"noise"}

    noise: float = 0.0


class LaterConfig(RunConfig):
    added_later: ClassVar[frozenset[str]] = RunConfig.added_later | {"weight_average"}

    augmentation: LaterAugmentation = LaterAugmentation()
    weight_average: bool = False


class LaterDefinition(SweepDefinition):
    added_later: ClassVar[frozenset[str]] = SweepDefinition.added_later | {"patience"}

    patience: int | None = None


@dataclass(frozen=True)
class LaterState(RunState):
    position: int = 0


@pytest.fixture
def measure(monkeypatch):
    """Return a function that adds one more metric with a given value to each epoch measured in this process."""

    def every_epoch(value: float | None) -> None:
        monkeypatch.setitem(METRIC_NAMES, "gradient_norm", METRIC)
        monkeypatch.setattr(reproducing, "MEASURES", tuple(dict.fromkeys((*reproducing.MEASURES, "gradient_norm"))))
        monkeypatch.setattr(checkpoints, "EpochMetrics", LaterMetrics)
        monkeypatch.setattr(loop, "EpochMetrics", functools.partial(LaterMetrics, gradient_norm=value))

    return every_epoch


def test_a_run_that_is_older_than_a_metric_is_reproduced(stored, measure):
    measure(1.5)
    again = reproduce(stored.printed["run"]["run_id"])
    assert again.first_difference is None
    assert len(again.comparisons) == 2 * 6


def test_a_stopped_run_older_than_a_metric_resumes_with_the_metric(stored, measure, harness_json):
    measure(1.5)
    run_id = stored.printed["stopped run"]
    assert harness_json("run", "--resume", run_id)["outcome"] == "completed"
    assert read_tracked_run(run_id).history[METRIC] == {2: 1.5}


@pytest.mark.long
def test_a_run_resumed_with_a_new_metric_is_compared_on_it_from_that_epoch(config, data, measure):
    tracker = MlflowTracker()
    run = begin_run(config, tracker, "tiny", data)
    record_slice(tracker, run, train_slice(config, None, run.splits, data))
    measure(1.5)
    complete_run(resume_run(run.run_id, tracker, data), tracker, data)
    again = reproduce(run.run_id, data)
    assert again.first_difference is None
    assert [each.epoch for each in again.comparisons if each.metric == METRIC] == [2]


@pytest.mark.long
def test_a_recorded_metric_that_is_no_longer_measured_is_a_difference(stored, measure, harness_json):
    measure(1.5)
    run_id = harness_json("run", "bars_run.py")["run_id"]
    measure(None)
    assert reproduce(run_id).first_difference == f"epoch 1, {METRIC}: recorded 1.5, now None"


def test_a_sweep_that_is_older_than_a_metric_is_exported_without_values_of_it(stored, measure, harness):
    measure(1.5)
    rows = json.loads(harness("export", stored.printed["sweep"]["sweep_id"], "--format", "json").stdout)
    assert {row["gradient_norm"] for row in rows} == {None}


def test_a_diverged_run_is_reproduced_if_a_divergence_gets_a_new_field(stored, monkeypatch):
    class LaterDivergence(Divergence):
        loss: str = "inf"

    monkeypatch.setattr(loop, "Divergence", LaterDivergence)
    (diverged,) = stored.ids("diverged", "trial")
    assert reproduce(diverged).ending is None


def test_a_checkpoint_of_a_later_version_is_refused_with_advice(tmp_path):
    values = {"train_loss": 0.1, "train_accuracy": 0.9}
    values |= {"train_seconds": 1.0, "evaluate_seconds": 1.0, "images_per_second": 1.0}
    save(tmp_path, Checkpoint(b"state", (LaterMetrics(epoch=1, gradient_norm=1.5, **values),)))
    with pytest.raises(BadInputError) as caught:
        load_latest(tmp_path)
    message = str(caught.value)
    assert "with 'gradient_norm' was written by a later version" in message
    assert f"delete the folder {str(tmp_path)!r}" in message


def test_a_state_of_a_later_version_is_refused_and_an_older_state_keeps_its_hash():
    later = LaterState("{}", 1, {}, {}, {}, position=7)
    with pytest.raises(BadInputError, match="state with 'position' was written by a later version"):
        RunState.from_bytes(later.to_bytes())
    older = RunState("{}", 1, {}, {}, {})
    assert LaterState.from_bytes(older.to_bytes()).hash() == older.hash() != later.hash()


@pytest.mark.parametrize("commit", COMMITS)
def test_a_config_keeps_its_text_and_hash_if_fields_are_added(commit):
    for text, hashed in texts(commit, "runs"):
        for config in (parse_config(json.loads(text)), LaterConfig.model_validate_json(text)):
            assert (canonical_json(config), config_hash(config)) == (text, hashed), ADDED


@pytest.mark.parametrize("commit", COMMITS)
def test_a_definition_keeps_its_text_and_hash_if_fields_are_added(commit):
    for text, hashed in texts(commit, "sweeps"):
        for kind in (SweepDefinition, LaterDefinition):
            definition = kind.model_validate_json(text)
            assert (canonical_json(definition), config_hash(definition)) == (text, hashed), ADDED
        on = LaterDefinition.model_validate({**json.loads(text), "patience": 3})
        assert json.loads(canonical_json(on)) == {**json.loads(text), "patience": 3}


def test_an_added_field_is_in_the_text_if_it_is_turned_on():
    off, on = LaterConfig(), LaterConfig(augmentation=LaterAugmentation(noise=0.1), weight_average=True)
    assert json.loads(canonical_json(on)) == {
        **json.loads(canonical_json(off)),
        "augmentation": on.augmentation.model_dump(),
        "weight_average": True,
    }
    assert LaterConfig.model_validate_json(canonical_json(on)) == on


def test_a_completed_sweep_trains_nothing_if_definitions_get_a_new_field(stored, monkeypatch):
    sweep_id = stored.printed["sweep"]["sweep_id"]
    before = read_sweep(sweep_id)
    monkeypatch.setattr(beginning, "SweepDefinition", LaterDefinition)
    text = (stored.folder / "mlartifacts" / sweep_id / "artifacts" / "definition.json").read_text()
    definition = LaterDefinition.model_validate_json(text)
    with open_pool("inline", 1) as pool:
        result = run_sweep("bars_ended", definition, MlflowTracker(), pool)
    assert result.sweep_id == sweep_id
    assert read_sweep(sweep_id) == before
