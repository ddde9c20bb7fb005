"""The default spaces fill in for what is not declared, and win over nothing that is."""

import sys
from pathlib import Path

import pytest

from experiments import catalog
from experiments.spaces import MODELS, SHARED, SPACES, shared_space
from harness.config import MLPConfig, RunConfig, flatten, with_settings
from harness.errors import BadInputError
from studies.definition import SweepDefinition
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool
from studies.space import Choice
from studies.sweep import run_sweep
from tests.memory_tracker import MemoryTracker
from tests.mnist_folder import write_small_mnist

LARGE = {"large": {"optimizer.name": "adam", "batch_size": 4096}, "free": {"optimizer.name": "adam"}}
FIXED = """
from harness.config import DatasetConfig, RunConfig
from studies.definition import SweepDefinition

sweep = SweepDefinition(
    base=RunConfig(dataset=DatasetConfig(train_size=320, validation_size=160), threads=1),
    optimizers=("good", "ruinous"),
    variants={
        "good": {"optimizer.name": "adam", "optimizer.lr": 1e-3},
        "ruinous": {"optimizer.name": "adam", "optimizer.lr": 1.0},
    },
    space={},
    spaces={},
    budget=1,
    trial_epochs=1,
    final_seeds=(1,),
    final_epochs=1,
    subset=True,
)
"""


def declared(**changes) -> SweepDefinition:
    values = {"optimizers": ["large", "free"], "variants": LARGE, "budget": 6, "trial_epochs": 2, "base": {}}
    sweep = values | {"final_seeds": [1], "final_epochs": 2} | changes
    experiment = catalog.parse("mine", {"kind": "sweep", "shows": "", "cost": "", "result": "", "sweep": sweep})
    return experiment.sweep


def test_a_key_that_a_variant_fixes_is_not_searched_for_that_variant_only():
    found = declared()
    assert found.example("large").batch_size == 4096
    assert found.searched("free").keys() - found.searched("large").keys() == {"batch_size"}
    assert found.searched("free")["batch_size"] == SHARED["batch_size"]
    assert found.searched("large")["optimizer.lr"] == SPACES["adam"]["optimizer.lr"]


@pytest.mark.parametrize(
    ("fixed", "left_out"),
    [
        ({"optimizer.lr": 0.5}, ("optimizer.lr",)),
        ({"model.dropout": [0.5, 0.5]}, ("model.dropout.0", "model.dropout.1")),
        ({"optimizer.betas": [0.9, 0.99]}, ("optimizer.betas.0",)),
        ({"model.activation": "tanh", "optimizer.eps": 1e-4}, ("model.activation", "optimizer.eps")),
    ],
    ids=str,
)
def test_a_key_that_a_variant_fixes_is_not_searched_with_any_budget(fixed, left_out):
    variants = {"large": {"optimizer.name": "adam"} | fixed, "free": {"optimizer.name": "adam"}}
    few, many = (declared(variants=variants, budget=2 * trials) for trials in (3, 30))
    assert many.searched("free").keys() - many.searched("large").keys() == set(left_out)
    assert not few.searched("large").keys() & set(left_out)
    assert few.searched("large").keys() <= many.searched("large").keys()


def test_the_shared_default_space_fits_the_bases_network_and_amount_of_data():
    table = {"dataset": {"name": "wine"}, "model": {"name": "mlp"}}
    adam = {"variants": {}, "optimizers": ["adam"]}
    free = declared(base=table, **adam).searched("adam")
    assert free.keys() == {"optimizer.lr", "batch_size", "model.dropout"}
    assert free["batch_size"].choices == (32, 64)
    assert free["model.dropout"].start == MLPConfig().dropout
    assert "model.activation" in declared(base=table, budget=60, **adam).searched("adam")
    few = {"dataset": {"train_size": 20, "validation_size": 10}}
    assert "batch_size" not in shared_space(few)
    own = RunConfig(model={"name": "tests.own.shapes:Small"})
    assert shared_space(own).keys() == {"batch_size"}
    assert shared_space({}) == shared_space(RunConfig()) == SHARED


def test_the_start_of_each_network_dimension_is_the_networks_default():
    for name, space in MODELS.items():
        config = with_settings(RunConfig(), {"model.name": name})
        for key, dimension in space.items():
            assert flatten(config)[key] == dimension.start, key


def test_a_space_that_is_declared_empty_stays_empty():
    nothing = declared(space={}, spaces={})
    assert [nothing.searched(name) for name in nothing.optimizers] == [{}, {}]
    assert declared(spaces={}).searched("free").keys() == {"batch_size", "model.dropout.0", "model.dropout.1"}
    assert declared(space={}).searched("free").keys() == {"optimizer.lr"}
    assert declared(space={}, spaces={"free": {}}).searched("large").keys() == {"optimizer.lr"}
    assert declared(space={}, spaces={"free": {}}).searched("free") == {}


def test_a_dimension_that_an_optimizer_declares_replaces_the_shared_default():
    sizes = Choice(choices=(1024, 2048))
    found = declared(
        variants={"large": {"optimizer.name": "adam"}},
        optimizers=["large", "sgd"],
        spaces={"large": {"batch_size": sizes}},
    )
    assert found.searched("large")["batch_size"] == sizes
    assert found.searched("sgd")["batch_size"] == SHARED["batch_size"]


def test_a_key_that_is_declared_twice_is_refused_in_one_line():
    with pytest.raises(
        BadInputError, match="variant 'large' fixes batch_size to 4096, and batch_size is searched"
    ) as caught:
        declared(space={"batch_size": {"kind": "choice", "choices": [32, 64]}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"spaces": 3}, "valid dictionary"),
        ({"spaces": {"free": 3}}, "valid dictionary"),
        ({"variants": {"free": 3}}, "valid dictionary"),
        ({"optimizers": 3}, "list"),
    ],
)
def test_a_value_that_is_not_a_table_is_refused_by_name(wrong, expected):
    (key,) = wrong
    with pytest.raises(BadInputError, match=rf"sweep\.{key}\S* 3: expected a {expected}"):
        declared(**wrong)


@pytest.mark.long
def test_two_variants_of_a_file_that_fix_their_rates_and_search_nothing_train_at_them(project, monkeypatch):
    tracker = MemoryTracker()
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("fixed_rates.py").write_text(FIXED, encoding="utf-8")
    definition = catalog.load_sweep("fixed_rates.py").sweep
    sys.modules.pop("fixed_rates")
    found = run_sweep("fixed", definition, tracker, WorkerPool(InlineExecutor(), 1, write_small_mnist(Path("data"))))
    rates = {run.params["optimizer.lr"] for run in tracker.runs.values() if "optimizer.lr" in run.params}
    assert rates == {1e-3, 1.0}
    good, ruinous = (found.optimizers[name].finals for name in ("good", "ruinous"))
    assert good != ruinous


def test_an_optimizer_without_a_default_space_is_searched_around_its_own_default_rate():
    found = declared(optimizers=["torch.optim:Rprop", "tests.own.shapes:Adaptive"], variants={})
    rprop = found.searched("torch.optim:Rprop")["optimizer.lr"]
    assert (rprop.low, rprop.start, rprop.high, rprop.log) == (1e-4, 1e-2, 1.0, True)
    assert found.searched("tests.own.shapes:Adaptive")["optimizer.learning_rate"].start == 1e-2


def test_an_optimizer_with_a_fixed_rate_or_a_declared_space_gets_no_generic_space():
    fixed = {"rprop": {"optimizer.name": "torch.optim:Rprop", "optimizer.lr": 0.1}}
    assert "optimizer.lr" not in declared(optimizers=["rprop"], variants=fixed).searched("rprop")
    assert declared(optimizers=["torch.optim:Rprop"], variants={}, spaces={"torch.optim:Rprop": {}}).spaces == {
        "torch.optim:Rprop": {}
    }


def test_an_optimizer_without_a_space_and_a_rate_is_refused_by_name():
    with pytest.raises(BadInputError, match=r"optimizer 'tests\.own\.shapes:Rateless' has no default space.*declare"):
        declared(optimizers=["tests.own.shapes:Rateless"], variants={})
