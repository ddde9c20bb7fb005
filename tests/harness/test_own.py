"""A user's own optimizer, model and dataset: found by name, checked by signature, refused where a run can't go on."""

import json

import pytest
import torch

from harness.config import RunConfig, canonical_json, config_hash, flatten, parse_config, with_settings
from harness.data import load_splits, normalize
from harness.errors import BadInputError
from harness.pace import measure_pace
from harness.run import begin_run, complete_run, resume_run
from harness.soundness import require_sound
from harness.tracking import MemoryTracker
from harness.training import advance, initial_state
from tests.metrics import in_slices, numbers
from tests.own import shapes

HERE = "tests.own.shapes"
BARS = {
    "dataset.name": f"{HERE}:bars",
    "dataset.train_size": 240,
    "dataset.validation_size": 80,
    "dataset.test_size": 80,
}
ALL_OWN = BARS | {
    "model.name": f"{HERE}:Small",
    "model.width": 16,
    "optimizer.name": f"{HERE}:SignDescent",
    "optimizer.lr": 0.01,
    "threads": 1,
    "epochs": 4,
}


def own(**settings) -> RunConfig:
    return with_settings(RunConfig(), ALL_OWN | {key.replace("__", "."): each for key, each in settings.items()})


def test_hyperparameters_are_those_of_the_signature_and_travel_as_plain_values():
    config = own()
    assert config.optimizer.model_dump() == {
        "name": f"{HERE}:SignDescent",
        "lr": 0.01,
        "decay": 0.0,
        "betas": [0.9, 0.99],  # growth is infinite, which JSON has no word for
    }
    assert flatten(config)["model.width"] == 16
    again = parse_config(json.loads(canonical_json(config)))
    assert (again, config_hash(again)) == (config, config_hash(config))
    assert with_settings(config, {"optimizer.betas.0": 0.8}).optimizer.arguments["betas"] == (0.8, 0.99)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer.name": f"{HERE}:SignDescnt"}, "did you mean 'SignDescent'"),
        ({"optimizer.name": "pytorch_optimizer:LAMB"}, "allowed: Lamb"),
        ({"optimizer.name": "no_such_module:Lion"}, "module 'no_such_module' can't be imported"),
        ({"optimizer.name": "__main__:Lion"}, "put it into a file of its own"),
        ({"optimizer.name": f"{HERE}:NOTHING"}, "can't be called"),
        ({"optimizer.momentum": 0.9}, "argument of 'tests.own.shapes:SignDescent', 'momentum' is unknown"),
        ({"optimizer.lr": float("inf")}, "optimizer.lr"),
        ({"model.width": {1, 2}}, "model.width"),
        ({"dataset.name": f"{HERE}:bars", "dataset.sed": 1}, "did you mean 'seed'"),
        ({"dataset.train_size": 0}, "dataset.train_size 0: input should be greater"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_in_one_line_that_names_it(settings, message):
    with pytest.raises(BadInputError) as caught:
        with_settings(RunConfig(), ALL_OWN | settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dataset_needs_the_sizes_of_its_parts():
    with pytest.raises(BadInputError, match=r"dataset.train_size: missing.*dataset.test_size: missing"):
        with_settings(RunConfig(), {"dataset.name": f"{HERE}:bars"})


def test_own_images_are_split_by_class_and_taken_as_they_are():
    splits = load_splits(own().dataset, "cpu")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [240, 80, 80]
    parts = torch.cat([splits.train.images, splits.validation.images, splits.test.images])
    assert len({image.numpy().tobytes() for image in parts}) == 400
    assert torch.equal(normalize(splits.test.images), splits.test.images)
    normalize(splits.test.images).zero_()  # as a model may
    assert splits.test.images.any()
    shares = [part.labels.bincount() / len(part) for part in (splits.train, splits.test)]
    assert torch.allclose(*shares, atol=0.02)
    other = load_splits(with_settings(own(), {"dataset.train_size": 100, "dataset.split_seed": 0}).dataset, "cpu")
    assert torch.equal(other.test.images, splits.test.images)
    assert load_splits(own(dataset__seed=1).dataset, "cpu").digest != splits.digest


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("images_alone", {}, "returns Tensor"),
        ("labels_of_floats", {}, "has labels torch.float32 of shape"),
        ("bars", {"dataset.test_size": 4_000}, "dataset.test_size 4000: 1 to 398 is allowed"),
        ("bars", {"dataset.train_size": 300}, "at most 320 is allowed"),
    ],
)
def test_what_is_not_two_tensors_or_too_few_images_is_refused(name, more, message):
    config = with_settings(RunConfig(), BARS | {"dataset.name": f"{HERE}:{name}"} | more)
    with pytest.raises(BadInputError, match=message):
        load_splits(config.dataset, "cpu")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("key", r"'tests.own.shapes:failing' raised KeyError: 'labels' \(shapes.py, line \d+\): images and"),
        ("file", "raised FileNotFoundError: .*'/no/such/folder/rows.npz'.*correct the function"),
        ("exit", "raised SystemExit: 3"),
        ("four", "returns tuple of 4: .*two tensors or arrays"),
        ("words", r"can't be taken as a tensor \(TypeError: list of dtype <U3\)"),
        ("ragged", r"can't be taken as a tensor \(ValueError: .*inhomogeneous shape"),
        ("whole features", r"has images torch.int32 of shape \(400, 8\): .*uint8 or floating point"),
        ("no features", r"has images of shape \(400, 0\), without a value"),
        ("infinite", "has images that are not finite in float32"),
        ("sparse", "can't be taken as a tensor .*Sparse"),
        ("column", r"has labels torch.int64 of shape \(400, 1\) for 400 images: .*labels int64 \(n,\) from 0"),
        ("empty", "has no images"),
        ("two", "has 2 images, where 3 or more are expected"),
    ],
)
def test_a_dataset_function_that_fails_is_named_in_one_line_with_what_it_did(how, message):
    config = with_settings(RunConfig(), BARS | {"dataset.name": f"{HERE}:failing", "dataset.how": how})
    with pytest.raises(BadInputError, match=message) as caught:
        load_splits(config.dataset, "cpu")
    assert "\n" not in str(caught.value)


ROWS = {key: each for key, each in ALL_OWN.items() if key != "model.width"}
ROWS |= {"dataset.name": f"{HERE}:table", "model.name": f"{HERE}:Linear"}


def table(**settings) -> RunConfig:
    return with_settings(RunConfig(), ROWS | {key.replace("__", "."): each for key, each in settings.items()})


LOOKALIKES = ("arrays", "big-endian", "reversed", "read-only", "memory-mapped", "file of tensors", "lists")


@pytest.mark.parametrize("lookalike", LOOKALIKES)
def test_arrays_and_whole_labels_of_any_kind_are_the_tensors_they_hold(project, lookalike):
    rows, _ = shapes.table()
    (project / "rows").write_bytes(rows.numpy().tobytes())
    expected = load_splits(table().dataset, "cpu")
    splits = load_splits(table(dataset__lookalike=lookalike).dataset, "cpu")
    assert splits.digest == expected.digest
    assert torch.equal(splits.train.images, expected.train.images)
    assert (splits.test.images.dtype, splits.test.labels.dtype) == (torch.float32, torch.int64)


def test_rows_of_features_are_trained_on_as_they_are_and_have_no_picture():
    config = table(model__classes=5, memory_format="channels_last")  # more outputs than classes
    data = load_splits(config.dataset, "cpu")
    assert torch.equal(normalize(data.test.images), data.test.images)
    require_sound(config, data)
    mistakes = advance(config, initial_state(config), data, 4, ["test"]).mistakes
    assert mistakes.class_names == ("0", "1", "2", "3", "4")
    assert [sum(row) for row in mistakes.confusion] == data.test.labels.bincount(minlength=5).tolist()
    assert {each.pixels for each in mistakes.most_confident} == {""}


def test_rows_of_features_are_not_augmented():
    config = table(augmentation__rotation=10.0)
    with pytest.raises(BadInputError, match="augmentation of rows of 8 features: images are expected"):
        require_sound(config, load_splits(config.dataset, "cpu"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer.decay": 2.0}, r"optimizer '.*SignDescent' can't be made .*decay 2.0 is outside"),
        ({"model.width": -1}, "model '.*Small' can't be made"),
        ({"model.classes": 2}, r"makes \(16, 2\) of images \(16, 2, 12, 12\); \(16, 3 or more\) is allowed"),
        ({"model.name": f"{HERE}:Scores"}, "gives no log-probabilities"),
        ({"model.name": "torch.nn:Flatten"}, r"makes \(16, 288\)|gives no log-probabilities"),
        ({"optimizer.name": f"{HERE}:WithClosure"}, "a step fails"),
        ({"optimizer.name": "pytorch_optimizer:SophiaH"}, "'pytorch_optimizer:SophiaH': a step fails"),
        ({"optimizer.name": f"{HERE}:Forgetful"}, "would not go on as one that was left alone"),
        ({"model.name": f"{HERE}:Noisy"}, "would not go on as one that was left alone"),
        ({"optimizer.name": f"{HERE}:Unstorable"}, "the state can't be stored"),
    ],
    ids=str,
)
def test_what_a_run_could_not_go_on_with_is_refused_before_it_begins(settings, message):
    config = with_settings(own(), settings)
    tracker = MemoryTracker()
    with pytest.raises(BadInputError, match=message):
        begin_run(config, tracker, "own")
    assert not tracker.runs


def test_all_own_it_learns_and_slices_through_bytes_are_the_run():
    config = own()
    data = load_splits(config.dataset, "cpu")
    require_sound(config, data)
    whole = advance(config, initial_state(config), data, 4, ["test"])
    assert whole.metrics[-1].test_accuracy > 0.8
    assert whole.mistakes.class_names == ("0", "1", "2")
    state, metrics = in_slices(config, data, 4, ["test"])
    assert state.hash() == whole.state.hash()
    assert numbers(metrics) == numbers(whole.metrics)


def test_the_pace_is_of_steps_on_a_users_own_images():
    pace = measure_pace(own())
    assert pace.train > 0 < pace.evaluate


def test_a_stopped_run_of_own_parts_is_resumed(project):
    tracker = MemoryTracker()
    run = begin_run(own(), tracker, "own")

    def stop(metrics):
        if metrics.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete_run(run, tracker, on_epoch=stop)
    record = complete_run(resume_run(run.run_id, tracker), tracker)
    alone = complete_run(begin_run(own(), tracker, "own"), tracker)
    assert record.state_hash == alone.state_hash


# some of `pytorch-optimizer`, each with its own defaults
THIRD_PARTY = ("Lion", "Prodigy", "AdaBelief", "AdaBound", "DiffGrad", "Lamb", "MADGRAD", "NovoGrad", "Tiger")


@pytest.mark.parametrize("name", THIRD_PARTY)
def test_third_party_optimizers_train_and_go_on_bit_by_bit(small, config: RunConfig, name):
    config = with_settings(config, {"optimizer.name": f"pytorch_optimizer:{name}", "epochs": 2})
    require_sound(config, small)
    whole = advance(config, initial_state(config), small, 2, [])
    state, _ = in_slices(config, small, 2, [])
    assert state.hash() == whole.state.hash()
    assert all(weight.isfinite().all() for weight in whole.state.model.values())
