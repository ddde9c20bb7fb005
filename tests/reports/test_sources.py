"""A single run has a report too, and every recipe on a page trains with the very config that it is of."""

import json
import shlex

import pytest

from experiments import catalog
from harness.config import with_settings
from harness.errors import BadInputError
from harness.run import begin_run, complete_run
from harness.tracking import MlflowTracker
from reports.contents import contents
from reports.sources import read_source


@pytest.fixture
def recorded(config, project, data):
    """A run that differs from the chapter's in whatever a sweep may search."""
    settings = {
        "optimizer.name": "adam",
        "optimizer.lr": 0.00123456789,
        "optimizer.betas.0": 0.87,
        "optimizer.amsgrad": True,
        "model.dropout.1": 0.0,
        "model.activation": "tanh",
        "batch_size": 64,
        "memory_format": "channels_last",
        "epochs": 1,
        "seed": 5,
    }
    config = with_settings(config, settings)
    tracker = MlflowTracker()
    return config, complete_run(begin_run(config, tracker, "mine", data), tracker, data).run_id


def test_a_single_run_is_told_as_one(recorded):
    _, run_id = recorded
    said = contents(read_source(run_id))
    accuracy = said.summary["mean"].iloc[0]
    assert said.answer == (
        f"adam reaches {accuracy:.2%} mean test accuracy; there is nothing to compare it with.",
        "It was not tuned, and one seed says nothing of the others.",
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


def test_command_and_python_of_a_recipe_give_the_config_that_was_trained(recorded):
    config, run_id = recorded
    (recipe,) = contents(read_source(run_id)).recipes
    words = shlex.split(recipe.command)
    assert words[:3] == ["harness", "run", "chapter"]
    settings = {}
    for setting in words[4::2]:
        key, _, text = setting.partition("=")
        try:
            settings[key] = json.loads(text)
        except json.JSONDecodeError:
            settings[key] = text
    machine = {"device": config.device, "threads": config.threads}
    assert with_settings(catalog.load_run("chapter"), settings | machine) == config
    names = {}
    exec(recipe.python, names)
    assert with_settings(names["config"], machine) == config


def test_a_part_of_a_sweep_has_no_report_of_its_own(project):
    tracker = MlflowTracker()
    trial = tracker.start_run("mine", "a trial", {}, {"harness.stage": "trial"})
    with pytest.raises(BadInputError, match="is not a sweep"):
        read_source(trial)
