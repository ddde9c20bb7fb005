"""A single run has a report too, and every recipe on a page trains with exactly the config it belongs to."""

import json
import shlex
from dataclasses import replace
from unittest import mock

import pytest

from experiments import catalog
from harness.config import RunConfig, canonical_json, with_settings
from harness.errors import BadInputError
from harness.records import DEFINITION_ARTIFACT, MISTAKES_ARTIFACT
from harness.run import begin_run, complete_run
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import find_artifact, read_tracked_run
from reports import source
from reports.contents import contents
from reports.source import read_configs, read_source
from tests.own import PARTS
from tests.reports.sweeps import DEFINITION, changed, run
from tests.reports.sweeps import source as small_sweep


@pytest.fixture
def recorded(config, project, data):
    config = with_settings(config, {"optimizer.name": "adam", "epochs": 1})
    tracker = MlflowTracker()
    return complete_run(begin_run(config, tracker, "mine", data), tracker, data).run_id


def test_a_single_run_is_reported_as_one(recorded):
    said = contents(read_source(recorded))
    accuracy = said.summary["mean"].iloc[0]
    assert said.answer == (
        f"adam reaches {accuracy:.2%} mean test accuracy; there is no other optimizer to compare it with.",
        "It was not tuned, and one seed says nothing about other seeds.",
    )
    assert {
        "final-accuracy",
        "convergence",
        "epoch-seconds",
        "confusion",
        "mistakes",
        "classes",
    } <= said.pictures.keys()
    assert not {"tuning-curves", "learning-rates", "outcomes"} & said.pictures.keys()


def test_mistakes_that_an_earlier_version_counted_for_another_class_are_left_out(recorded):
    counted = read_source(recorded).mistakes[recorded]
    shifted = counted.most_confident[0].model_copy(update={"prediction": 10})
    stored = counted.model_copy(update={"most_confident": (shifted, *counted.most_confident[1:])})
    MlflowTracker().log_artifact(recorded, MISTAKES_ARTIFACT, stored.model_dump_json().encode())
    left = read_source(recorded)
    assert not left.mistakes
    assert "confusion" not in contents(left).pictures


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer.name": "adamw", "optimizer.weight_decay": 0.0, "optimizer.lr": 0.00123456789},
        {"optimizer.name": "adam", "optimizer.betas.0": 0.87, "optimizer.amsgrad": True, "model.activation": "tanh"},
        {"dataset.train_size": 640, "dataset.validation_size": 0, "model.dropout.1": 0.0, "batch_size": 64},
        {"memory_format": "channels_last", "precision": "bfloat16", "epochs": 1, "seed": 5, "threads": 1},
        {
            "schedule.name": "one-cycle",
            "schedule.pct_start": 0.2,
            "label_smoothing": 0.1,
            "augmentation.rotation": 5.0,
        },
        PARTS,
    ],
)
def test_command_and_python_of_a_recipe_give_the_config_that_was_trained(settings):
    config = with_settings(RunConfig(), settings)
    name = config.optimizer.name
    final = run(name, "final", config.seed, [0.9])
    (recipe,) = contents(small_sweep([final], changed(optimizers=(name,)), configs={final.run_id: config})).recipes
    words = shlex.split(recipe.command)
    assert words[:3] == ["harness", "run", "chapter"]
    said = {}
    for setting in words[4::2]:
        key, _, text = setting.partition("=")
        try:
            said[key] = json.loads(text)
        except json.JSONDecodeError:
            said[key] = text
    machine = {"threads": config.threads}
    assert with_settings(catalog.load_run("chapter"), said | machine) == config
    names = {}
    exec(recipe.python, names)
    assert with_settings(names["config"], machine) == config


def test_a_config_is_read_from_its_file_or_from_a_server_by_params_that_match_its_hash(recorded, monkeypatch):
    runs = [read_tracked_run(recorded)]
    here = read_configs(runs)
    assert here[recorded].optimizer.name == "adam"
    monkeypatch.setattr(source, "is_here", lambda _: False)
    monkeypatch.setattr(source, "read_artifacts_here", lambda *_: {})
    from_file = mock.Mock(side_effect=find_artifact)
    monkeypatch.setattr(source, "find_artifact", from_file)
    assert read_configs(runs) == here
    assert not from_file.called
    incomplete = replace(runs[0], params={"optimizer.name": "adam"})
    assert read_configs([incomplete]) == here
    assert from_file.called


def test_a_sweep_with_an_old_definition_that_is_now_invalid_can_be_read(project):
    then = json.loads(canonical_json(DEFINITION))
    for younger in ("variants", "sampler", "at_once", "asynchronous"):
        del then[younger]
    then["space"] = {"model.dropout.0": {"kind": "range", "low": 0.0, "high": 1.0}}  # 1 is no dropout
    tracker = MlflowTracker()
    sweep_id = tracker.start_run("mine", "a sweep", {}, {"harness.stage": "sweep"})
    tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, json.dumps(then).encode())
    definition = read_source(sweep_id).definition
    assert definition.variants == {}
    assert definition.searched("sgd").keys() == {"optimizer.lr", "model.dropout.0"}
    assert definition.base == DEFINITION.base


def test_a_part_of_a_sweep_has_no_report_of_its_own(project):
    tracker = MlflowTracker()
    trial = tracker.start_run("mine", "a trial", {}, {"harness.stage": "trial"})
    with pytest.raises(BadInputError, match="is not a sweep"):
        read_source(trial)
