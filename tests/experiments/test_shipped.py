"""The experiments that ship are declared whole, and the two with a known answer get it."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from experiments import catalog, declared
from experiments.adjusting import Adjustments
from experiments.planning import plan_sweep
from experiments.spaces import SPACES
from harness.config import OPTIMIZER_CONFIGS, canonical_json, recorded, with_settings
from harness.errors import BadInputError
from harness.tracking.mlflow import MlflowTracker
from reports.contents import contents
from reports.source import read_source
from studies.definition import SweepDefinition
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool
from studies.executors.resources import Resources
from studies.sweep import run_sweep
from tests.mnist_folder import write_mnist

SWEEPS = [name for name in declared.names() if catalog.load(name).kind == "sweep"]
FIVE = ("sgd", "adagrad", "adadelta", "rmsprop", "adam")


def test_the_built_in_experiments_are_the_expected_ones():
    assert set(declared.names()) == {
        "chapter",
        "optimizers",
        "optimizers-full",
        "batch-size",
        "dropout",
        "activations",
        "learning-rate",
        "modern",
        "fashion",
        "digits",
        "breast-cancer",
        "lucky",
        "null",
        "planted",
        "smoke",
    }
    default, fashion = (catalog.load_sweep(name).sweep for name in ("optimizers", "fashion"))
    assert default.optimizers == FIVE
    on_mnist = with_settings(fashion.base, {"dataset.name": "mnist"})
    assert fashion.model_copy(update={"base": on_mnist}) == default, "fashion says that it is the same sweep"
    full = catalog.load_sweep("optimizers-full").sweep
    assert len(full.optimizers) == 11  # of before the others
    assert full.replicates == 3


@pytest.mark.parametrize("name", SWEEPS)
def test_a_recorded_definition_is_read_as_the_same_definition(name):
    definition = catalog.load_sweep(name).sweep
    assert recorded(SweepDefinition, json.loads(canonical_json(definition))) == definition


@pytest.mark.parametrize("name", declared.names())
def test_each_experiment_names_its_command_cost_and_measured_result(name):
    experiment = catalog.load(name)
    first = (files("experiments") / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
    assert f"harness {experiment.kind} {name}" in first
    assert experiment.shows
    assert experiment.cost
    assert experiment.result
    assert declared.describe(name) == (experiment.kind, experiment.shows, experiment.cost, experiment.result)


def test_a_space_grows_with_the_budget_as_the_tuning_playbook_advises():
    few, some, many = (
        set(catalog.load_sweep("optimizers").sweep.model_copy(update={"budget": trials}).searched("adam"))
        for trials in (9, 10, 26)
    )
    assert few == {"optimizer.lr", "batch_size", "model.dropout.0", "model.dropout.1"}
    assert some - few == {"optimizer.betas.0"}
    assert many - some == {"optimizer.eps", "model.activation"}


@pytest.mark.parametrize("name", OPTIMIZER_CONFIGS)
def test_every_start_and_edge_of_every_space_gives_a_valid_config(name):
    base = catalog.load_sweep("optimizers").sweep.base
    for key, dimension in SPACES[name].items():
        for value in (dimension.start, dimension.value(dimension.low), dimension.value(dimension.high)):
            with_settings(base, {"optimizer.name": name, key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"budgett": 3},
            "experiment 'mine': sweep.budgett is unknown: expected one of base, optimizers",
        ),
        ({"trial_epochs": {}}, "sweep.trial_epochs {}: expected a valid integer"),
        ({"budget": 1}, "budget 1: expected 2 (the epochs of a trial) or more"),
        (
            {"space": {"learning_rate": {"kind": "range", "low": 0.1, "high": 1}}},
            "setting 'learning_rate' is unknown: expected one of augmentation.horizontal_flip",
        ),
        ({"space": {"seed": {"kind": "range", "low": 1, "high": 9}}}, "seed can't be searched"),
        ({"space": {"batch_size": {"kind": "choice", "choices": [0]}}}, "batch_size 0: expected a number greater"),
        ({"final_seeds": [1, 1]}, "contain a seed twice"),
        ({"sampler": "grid", "pruning": False}, "budget 6: expected 64, the 32 points of sgd's grid at 2 epochs"),
        ({"optimizers": ["sgdd"]}, "did you mean 'sgd'"),
        ({"variants": {"a/b": {}}}, "variant 'a/b': expected a name of letters, digits, spaces, '_', '-' and '.'"),
        ({"sampler": "bayes"}, "sweep.sampler 'bayes': expected one of tpe, prior, random, sobol, grid"),
        (
            {"sampler": "tbe"},
            "sweep.sampler 'tbe': expected one of tpe, prior, random, sobol, grid; did you mean 'tpe'?",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_in_one_line_that_names_it(change, message):
    values = {
        "kind": "sweep",
        "shows": "",
        "cost": "",
        "result": "",
        "sweep": {"optimizers": ["sgd"], "budget": 6, "trial_epochs": 2, "final_seeds": [1], "final_epochs": 2}
        | {"base": {}}
        | change,
    }
    with pytest.raises(BadInputError) as caught:
        catalog.parse("mine", values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count(f"; {caught.value.next_step}") == 1


def test_a_slice_takes_one_cpu_for_each_thread_unless_its_file_sets_resources():
    sweep = {"optimizers": ["sgd"], "budget": 2, "trial_epochs": 2, "final_seeds": [1], "final_epochs": 2}
    values = {"kind": "sweep", "shows": "", "cost": "", "result": "", "sweep": sweep | {"base": {"threads": 4}}}
    declared = catalog.parse("mine", values)
    on_a_gpu = with_settings(declared.sweep.base, {"device": "cuda"})
    assert declared.slice_resources(declared.sweep.base) == Resources(cpus=4, gpus=0)
    assert declared.slice_resources(on_a_gpu) == Resources(cpus=4, gpus=1)
    values["resources"] = {"cpus": 0.5, "gpus": 0.25}
    assert catalog.parse("mine", values).slice_resources(on_a_gpu) == Resources(cpus=0.5, gpus=0.25)
    with pytest.raises(BadInputError, match=r"resources\.gpus -1: expected a number greater than or equal to 0"):
        catalog.parse("mine", values | {"resources": {"gpus": -1}})


def test_a_missing_field_is_named():
    with pytest.raises(BadInputError, match=r"sweep\.budget is missing: expected a value"):
        catalog.parse("mine", {"kind": "sweep", "sweep": {"optimizers": ["sgd"]}})


def answer_on_a_subset(name: str) -> tuple[str, ...]:
    """Answer with a smaller network and fewer images than the declared ones."""
    settings = {"threads": 1, "model.name": "mlp", "dataset.train_size": 640, "dataset.validation_size": 320}
    definition = plan_sweep(name, catalog.load_sweep(name), Adjustments(settings=settings), "inline").definition
    changes = {"start_finals": False, "subset": True}
    inline = WorkerPool(InlineExecutor(), 1, write_mnist(Path("data"), train=960, test=1_000))
    result = run_sweep(name, definition.model_copy(update=changes), MlflowTracker(), inline)
    return contents(read_source(result.sweep_id)).answer


@pytest.mark.slow
def test_an_optimizer_is_never_better_than_itself(project):
    assert answer_on_a_subset("null")[0].startswith("No optimizer is shown to be better than another; ")


@pytest.mark.slow
def test_a_ruined_learning_rate_range_is_shown_to_be_worse(project):
    first, *_, last = answer_on_a_subset("planted")
    assert first.startswith("adam is the best, at ")
    assert ": better than ruined by " in first
    assert last
