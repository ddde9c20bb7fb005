"""RunConfig: one truth for hyperparameters, hashed, refusing what is out of range by name."""

import inspect
import json
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import (
    OPTIMIZER_CONFIGS,
    DatasetConfig,
    ModelConfig,
    RunConfig,
    TorchOptimizerConfig,
    canonical_json,
    config_hash,
    differences,
    flatten,
    parse_config,
    recorded,
    unflatten,
    validated,
    with_settings,
)
from harness.errors import BadInputError
from tests.own import PARTS as OWN

IMPLEMENTATION = {"params", "foreach", "maximize", "capturable", "differentiable", "fused"}
OF_TORCH = {name for name, kind in OPTIMIZER_CONFIGS.items() if issubclass(kind, TorchOptimizerConfig)}
FOR_BATCHES = {"max_iter": 4, "history_size": 10, "line_search_fn": "strong_wolfe"}  # torch's are for the whole data


@pytest.mark.parametrize("name", sorted(OF_TORCH - {"sgd", "momentum", "nesterov"}))
def test_hyperparameters_and_defaults_are_those_of_torchs_class(name):
    parameters = inspect.signature(torch_class(name)).parameters.values()
    torchs = {each.name: each.default for each in parameters if each.name not in IMPLEMENTATION}
    kind = OPTIMIZER_CONFIGS[name]
    if name == "lbfgs":
        torchs |= FOR_BATCHES
    if name == "muon":
        adamw = OPTIMIZER_CONFIGS["adamw"]().model_dump(exclude={"name", "amsgrad"})
        torchs |= {f"adamw_{key}": each for key, each in adamw.items()}
    assert {**kind().model_dump(exclude={"name"}), **kind.fixed} == torchs


def torch_class(name):
    return getattr(torch.optim, OPTIMIZER_CONFIGS[name].torch_class)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.lr", 0),
        ("optimizer.lr", -1),
        ("optimizer.lr", float("nan")),
        ("optimizer.lr", "fast"),
        ("optimizer.rho", 1.0),
        ("optimizer.beta", 0.9),
        ("optimizer.name", "adamm"),
        ("batch_size", 0),
        ("batch_size", 50_001),
        ("model.dropout.0", 1.0),
        ("model.dropout.1", -0.1),
        ("model.dropout", [0.1]),
        ("epochs", 0),
        ("seed", -1),
        ("seed", 2**64),
        ("device", "tpu"),
        ("dataset.validation_size", 20_000),
        ("dataset.mean", [0.1, 0.2]),
        ("dataset.std", 0),
        ("dataset.name", "cifar"),
        ("dataset.name", "wine"),
        ("model.name", "mpl"),
        ("model.hidden", [32]),
        ("model.classes", 10),
        ("learning_rate", 0.1),
        ("model.dropout.2", 0.1),
        ("model.width.depth", 3),
        ("trajectory.windows", -1),
        ("trajectory.points", [0]),
        ("trajectory.every", 0),
        ("trajectory.every", 1.5),
        ("trajectory.images", -1),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_that_names_it(key, value):
    with pytest.raises(BadInputError) as caught:
        with_settings(RunConfig(), {key: value})
    message = str(caught.value)
    assert "\n" not in message
    assert key.split(".")[-1] in message or str(value) in message


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("optimizr.lr", 0.1, "optimizer.lr"),
        ("optimizer.lrr", 0.1, "optimizer.lr"),
        ("lr", 0.1, "optimizer.lr"),
        ("bach_size", 64, "batch_size"),
        ("optimizer.name", "adm", "adam"),
        ("model.activation", "rellu", "relu"),
        ("precision", "float23", "float32"),
        ("dataset.name", "cifra10", "cifar10"),
        ("model.name", "mpl", "mlp"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_closest_valid_name(key, value, meant):
    with pytest.raises(BadInputError, match=f"did you mean '{re.escape(meant)}'"):
        with_settings(RunConfig(), {key: value})


def test_a_hyperparameter_of_another_optimizer_is_not_taken_for_a_misspelt_one():
    with pytest.raises(BadInputError, match=r"'optimizer.betas' is unknown: expected one of .*optimizer.rho"):
        with_settings(RunConfig(), {"optimizer.betas": [0.9, 0.99]})


def test_a_setting_inside_a_group_that_was_replaced_by_a_plain_value_is_refused():
    with pytest.raises(BadInputError, match=r"'model.dropout.0' is unknown"):
        with_settings(RunConfig(), {"model": 3, "model.dropout.0": 0.1})


def test_a_new_optimizer_starts_from_its_own_defaults():
    config = with_settings(RunConfig(), {"optimizer.name": "adam"})
    assert (config.optimizer.name, config.optimizer.lr) == ("adam", 1e-3)
    config = with_settings(RunConfig(), {"optimizer.name": "adam", "optimizer.betas.0": 0.8})
    assert config.optimizer.betas == (0.8, 0.999)


def test_a_change_of_dataset_keeps_explicit_sizes_and_replaces_default_sizes():
    config = with_settings(RunConfig(), {"dataset.train_size": 640, "dataset.split_seed": 3})
    said = with_settings(config, {"dataset.name": "digits", "dataset.validation_size": 100}).dataset
    assert (said.train_size, said.validation_size, said.split_seed) == (640, 100, 3)
    unsaid = with_settings(RunConfig(), {"dataset.name": "digits"}).dataset
    assert (unsaid.train_size, unsaid.validation_size) == (1_000, 300)
    assert with_settings(RunConfig(dataset=unsaid), {"dataset.name": "mnist"}) == RunConfig()
    too_large = with_settings(config, {"dataset.name": "digits", "dataset.train_size": 900}).dataset
    assert (too_large.train_size, too_large.validation_size) == (900, 300)


def test_an_empty_list_can_be_replaced_and_has_no_keys():
    config = with_settings(RunConfig(), {"trajectory.points": []})
    assert with_settings(config, {"trajectory.points": [0.5]}).trajectory.points == (0.5,)
    with pytest.raises(BadInputError, match=r"setting 'trajectory\.points\.0' is unknown"):
        with_settings(config, {"trajectory.points.0": 0.5})


def test_a_size_that_is_not_a_number_is_refused_if_the_dataset_changes_too():
    with pytest.raises(BadInputError, match=r"dataset\.train_size 'all': expected a valid integer"):
        with_settings(RunConfig(), {"dataset.name": "digits", "dataset.train_size": "all"})


def test_a_config_that_uses_all_images_uses_all_images_of_a_new_dataset():
    config = with_settings(RunConfig(), {"dataset.train_size": 60_000, "dataset.validation_size": 0})
    digits = with_settings(config, {"dataset.name": "digits"}).dataset
    assert (digits.train_size, digits.validation_size) == (1_300, 0)


def test_a_dataset_has_the_registrys_sizes_unless_its_text_has_sizes():
    assert parse_config({"dataset": {"name": "usps"}}).dataset == DatasetConfig(name="usps", train_size=6_000)
    older = {"name": "fashion-mnist", "train_size": 50_000, "validation_size": 10_000, "split_seed": 0}
    assert json.loads(canonical_json(parse_config({"dataset": older})))["dataset"] == older


def test_a_mean_is_dropped_if_the_dataset_changes():
    config = with_settings(RunConfig(), {"dataset.mean": 0.5, "dataset.std": [0.25]})
    assert (config.dataset.mean, config.dataset.std) == ((0.5,), (0.25,))
    assert with_settings(config, {"dataset.name": "kmnist"}).dataset.mean is None


def test_a_network_without_a_name_is_the_chapters_and_is_stored_without_a_name():
    assert parse_config({"model": {"dropout": [0.1, 0.2]}}).model == ModelConfig(dropout=(0.1, 0.2))
    assert "name" not in json.loads(canonical_json(RunConfig()))["model"]
    mlp = with_settings(RunConfig(), {"model.name": "mlp", "model.hidden": [32], "model.dropout": 0.5})
    assert (mlp.model.hidden, mlp.model.dropout, mlp.model.activation) == ((32,), 0.5, "relu")
    assert json.loads(canonical_json(mlp))["model"]["name"] == "mlp"
    assert with_settings(mlp, {"model.name": "convnet"}) == RunConfig()


def test_an_unknown_name_is_refused_with_the_valid_names():
    for values, known in (
        ({"model": {"name": "resnet"}}, r"model\.name 'resnet': expected one of convnet, mlp;"),
        ({"optimizer": {"name": "adm"}}, r"optimizer\.name 'adm': expected one of sgd, .*did you mean 'adam'"),
    ):
        with pytest.raises(BadInputError, match=known):
            validated(RunConfig, values)


def test_augmentation_is_refused_for_rows_of_features():
    table = {"dataset.name": "wine", "model.name": "mlp"}
    with pytest.raises(
        BadInputError,
        match="augmentation is set for wine, which has rows of 13 features: expected a dataset of images",
    ):
        with_settings(RunConfig(), {**table, "augmentation.rotation": 5.0})


def test_json_round_trip_is_the_same_config():
    config = with_settings(RunConfig(), {"optimizer.name": "nadam", "model.dropout": [0.2, 0.3]})
    assert parse_config(json.loads(canonical_json(config))) == config


def test_hash_is_pinned_and_sees_every_field():
    base = RunConfig()
    assert config_hash(base) == "8870d53bcc4c4cd16ef5203298ca4d3f2e9d25c57c1eed891303dbd36c9da952"
    changes = {
        "dataset.name": "fashion-mnist",
        "dataset.train_size": 49_999,
        "dataset.validation_size": 9_999,
        "dataset.split_seed": 1,
        "dataset.mean": 0.5,
        "dataset.std": 0.5,
        "model.name": "mlp",
        "model.activation": "tanh",
        "model.leaky_relu_slope": 0.02,
        "model.dropout.0": 0.11,
        "model.dropout.1": 0.26,
        "optimizer.name": "adam",
        "optimizer.lr": 0.6,
        "optimizer.rho": 0.8,
        "optimizer.eps": 1e-5,
        "optimizer.weight_decay": 0.1,
        "schedule.name": "cosine",
        "schedule.warm_up_epochs": 1.0,
        "schedule.warm_up_factor": 0.1,
        "label_smoothing": 0.1,
        "gradient_clip_norm": 1.0,
        "augmentation.rotation": 10.0,
        "augmentation.translation": 0.1,
        "augmentation.scale": 0.1,
        "augmentation.horizontal_flip": 0.5,
        "batch_size": 33,
        "evaluation_batch_size": 501,
        "epochs": 3,
        "checkpoint_every": 2,
        "seed": 1,
        "device": "cuda",
        "threads": 1,
        "precision": "bfloat16",
        "memory_format": "channels_last",
        "fused": True,
        "trajectory.windows": 8,
        "trajectory.points.0": 0.02,
        "trajectory.points.1": 0.05,
        "trajectory.points.2": 0.2,
        "trajectory.every": 0.25,
        "trajectory.images": 1000,
    }
    assert changes.keys() == flatten(base).keys()
    hashes = {config_hash(with_settings(base, {key: value})) for key, value in changes.items()}
    assert len(hashes | {config_hash(base)}) == len(changes) + 1


def configs():
    """Configs of every optimizer, any learning rate, dropout, sizes and seeds."""
    fraction = st.floats(0, 1, exclude_max=True)
    optimizers = [st.builds(kind, lr=st.floats(0, 1e6, exclude_min=True)) for kind in OPTIMIZER_CONFIGS.values()]
    sizes = st.tuples(st.integers(1, 40_000), st.integers(0, 20_000), st.integers(0, 2**63 - 1))
    datasets = sizes.map(lambda size: DatasetConfig(train_size=size[0], validation_size=size[1], split_seed=size[2]))
    return st.builds(
        lambda dataset, batch, **others: RunConfig(
            dataset=dataset, batch_size=1 + int(batch * (dataset.train_size - 1)), **others
        ),
        dataset=datasets,
        batch=fraction,
        model=st.builds(ModelConfig, dropout=st.tuples(fraction, fraction)),
        optimizer=st.one_of(optimizers),
        seed=st.integers(0, 2**64 - 1),
        threads=st.integers(1, 1024),
        epochs=st.integers(1, 10_000),
    )


def reordered(value, order):
    if not isinstance(value, dict):
        return value
    return {key: reordered(value[key], order) for key in order.sample(sorted(value), len(value))}


@settings(deadline=None)
@given(configs(), st.randoms(use_true_random=False))
def test_any_config_survives_json_in_any_field_order_with_its_hash(config, order):
    again = parse_config(reordered(json.loads(canonical_json(config)), order))
    assert again == config
    assert config_hash(again) == config_hash(config)


def without_none(values):
    return {key: value for key, value in values.items() if value is not None}


@settings(deadline=None)
@given(configs(), configs())
def test_two_configs_have_one_hash_only_if_they_are_the_same(one, other):
    assert (config_hash(one) == config_hash(other)) == (flatten(one) == flatten(other))
    changed = {key: now for key, _, now in differences(one.model_dump(), other.model_dump())}
    kept = {key: value for key, value in flatten(one).items() if key not in changed}
    assert without_none(kept | changed) == without_none(flatten(other)), "a difference is none of None and nothing"


@pytest.mark.parametrize(
    "changes",
    [
        *({"optimizer.name": name} for name in OPTIMIZER_CONFIGS),
        {"schedule.name": "one-cycle", "schedule.pct_start": 0.2, "memory_format": "channels_last", "fused": True},
        {"optimizer.lr": 1e-5, "model.activation": "tanh", "augmentation.rotation": 5.0},
        {"dataset.name": "cifar10", "dataset.mean": [0.1, 0.2, 0.3], "dataset.std": 0.5},
        {"dataset.name": "wine", "model.name": "mlp", "model.hidden": [8, 8, 8]},
        {"trajectory.points": [0.25, 1.5], "trajectory.windows": 0, "trajectory.every": 1.0},
        OWN,
    ],
)
def test_a_config_recorded_as_text_or_as_params_is_read_as_the_same_config(changes):
    config = with_settings(RunConfig(), changes)
    params = {key: str(value) for key, value in flatten(config).items()}
    for values in (json.loads(canonical_json(config)), unflatten(params)):
        again = recorded(RunConfig, values)
        assert again == config
        assert config_hash(again) == config_hash(config)


def test_a_recorded_config_that_is_now_invalid_or_lacks_its_own_parts_can_be_read():
    values = json.loads(canonical_json(RunConfig()))
    values["optimizer"] = {"name": "gone.with_the_wind:Optimizer", "lr": 0.5}
    values |= {"batch_size": 10**6, "a_field_of_before": 1}
    with pytest.raises(BadInputError):
        parse_config(values)
    config = recorded(RunConfig, values)
    assert (config.batch_size, config.dataset.train_size) == (10**6, 50_000)
    assert config.optimizer.arguments == {"lr": 0.5}
