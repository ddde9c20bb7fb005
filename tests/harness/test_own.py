"""A user's own optimizer, model and dataset: found by name, checked by signature, refused where a run can't go on."""

import json

import mlflow
import pytest
import torch

from harness.config import RunConfig, canonical_json, config_hash, flatten, parse_config, with_settings
from harness.errors import BadInputError
from harness.export import register_model
from harness.predict import predict_test_image
from harness.reproduce import reproduce
from harness.run import begin_run, complete_run, resume_run, run_name
from harness.tracking.mlflow import MlflowTracker
from harness.training.checks import require_sound
from harness.training.data import load_splits
from harness.training.evaluation import evaluate
from harness.training.images import Split, Splits, normalize
from harness.training.inputs import found_inputs, with_inputs
from harness.training.loop import initial_state
from harness.training.networks import new_model
from harness.training.timing import measure_seconds
from tests.memory_tracker import MemoryTracker
from tests.metrics import in_slices, numbers
from tests.own import shapes
from tests.training import train_epochs

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


def test_hyperparameters_come_from_the_signature_and_are_stored_as_plain_values():
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
        ({"optimizer.name": "pytorch_optimizer:LAMB"}, "expected one of Lamb;"),
        ({"optimizer.name": "no_such_module:Lion"}, "name 'no_such_module:Lion' has a module that can't be imported"),
        ({"optimizer.name": "__main__:Lion"}, "move it to its own file"),
        ({"optimizer.name": f"{HERE}:NOTHING"}, "can't be called"),
        ({"optimizer.momentum": 0.9}, "argument of 'tests.own.shapes:SignDescent' 'momentum' is unknown"),
        ({"optimizer.lr": float("inf")}, "optimizer.lr"),
        ({"model.width": {1, 2}}, "model.width"),
        ({"dataset.name": f"{HERE}:bars", "dataset.sed": 1}, "did you mean 'seed'"),
        ({"dataset.train_size": 0}, "dataset.train_size 0: expected a number greater"),
    ],
    ids=str,
)
def test_invalid_settings_of_own_parts_are_refused_by_name_in_one_line(settings, message):
    with pytest.raises(BadInputError) as caught:
        with_settings(RunConfig(), ALL_OWN | settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dataset_needs_the_sizes_of_its_parts():
    with pytest.raises(BadInputError, match=r"dataset.train_size is missing.*dataset.test_size is missing"):
        with_settings(RunConfig(), {"dataset.name": f"{HERE}:bars"})


def test_own_images_are_split_by_class_and_used_unchanged():
    splits = load_splits(own().dataset, "cpu")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [240, 80, 80]
    parts = torch.cat([part.images[:] for part in (splits.train, splits.validation, splits.test)])
    assert len({image.numpy().tobytes() for image in parts}) == 400
    images = splits.test.images[:]
    assert torch.equal(normalize(images, own().dataset), images)
    normalize(images, own().dataset).zero_()  # as a model may
    assert images.any()
    shares = [part.labels.bincount() / len(part) for part in (splits.train, splits.test)]
    assert torch.allclose(*shares, atol=0.02)
    other = load_splits(with_settings(own(), {"dataset.train_size": 100, "dataset.split_seed": 0}).dataset, "cpu")
    assert torch.equal(other.test.images[:], images)
    assert load_splits(own(dataset__seed=1).dataset, "cpu").digest != splits.digest


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("images_alone", {}, "returns Tensor"),
        ("labels_of_floats", {}, "has labels torch.float32 of shape"),
        ("bars", {"dataset.test_size": 4_000}, "dataset.test_size 4000: expected 1 to 398"),
        ("bars", {"dataset.train_size": 300}, "expected at most 320"),
    ],
)
def test_invalid_tensors_and_sizes_larger_than_the_data_are_refused(name, more, message):
    config = with_settings(RunConfig(), BARS | {"dataset.name": f"{HERE}:{name}"} | more)
    with pytest.raises(BadInputError, match=message):
        load_splits(config.dataset, "cpu")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("key", r"'tests.own.shapes:failing' raised KeyError: 'labels' \(shapes.py, line \d+\): expected images and"),
        ("file", "raised FileNotFoundError: .*'/no/such/folder/rows.npz'.*correct the function"),
        ("exit", "raised SystemExit: 3"),
        ("four", "returns tuple of 4: .*two tensors or arrays"),
        ("words", r"can't be converted to a tensor \(TypeError: list of dtype <U3\)"),
        ("ragged", r"can't be converted to a tensor \(ValueError: .*inhomogeneous shape"),
        ("whole features", r"has images torch.int32 of shape \(400, 8\): .*uint8 or floating point"),
        ("no features", r"has images of shape \(400, 0\), without a value"),
        ("infinite", "has images that are not finite in float32"),
        ("sparse", "can't be converted to a tensor .*Sparse"),
        ("column", r"has labels torch.int64 of shape \(400, 1\) for 400 images: .*labels int64 \(n,\) from 0"),
        ("one class", "has the label 2 alone: .*labels int64 .* of two classes or more"),
        ("wrapped", "has a label 18446744073709551613: expected"),
        ("empty", "has no images"),
        ("two", "has 2 images: expected 3 or more"),
        ("single", "has 1 images: expected 3 or more"),
    ],
)
def test_a_failing_dataset_function_is_refused_by_name_and_cause_in_one_line(how, message):
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
def test_arrays_and_integer_labels_of_any_type_give_the_same_data_as_tensors(project, lookalike):
    rows, _ = shapes.table()
    (project / "rows").write_bytes(rows.numpy().tobytes())
    expected = load_splits(table().dataset, "cpu")
    splits = load_splits(table(dataset__lookalike=lookalike).dataset, "cpu")
    assert splits.digest == expected.digest
    assert torch.equal(splits.train.images[:], expected.train.images[:])
    assert (splits.test.images[:].dtype, splits.test.labels.dtype) == (torch.float32, torch.int64)


def test_rows_of_features_are_trained_on_as_they_are_and_have_no_picture():
    config = table(model__classes=5, memory_format="channels_last")  # more outputs than classes
    data = load_splits(config.dataset, "cpu")
    images = data.test.images[:]
    assert torch.equal(normalize(images, config.dataset), images)
    require_sound(config, data)
    mistakes = train_epochs(config, initial_state(config), data, 4, ["test"]).mistakes
    assert mistakes.class_names == ("0", "1", "2", "3", "4")
    assert [sum(row) for row in mistakes.confusion] == data.test.labels.bincount(minlength=5).tolist()
    assert {each.pixels for each in mistakes.most_confident} == {""}


@pytest.mark.parametrize("largest", [2_000_000, 2**40])
def test_labels_that_are_ids_rather_than_numbers_of_classes_are_refused(largest):
    config = with_settings(RunConfig(), ROWS | {"dataset.name": f"{HERE}:labelled", "dataset.largest": largest})
    with pytest.raises(BadInputError, match=rf"labelled' has a label {largest} and 400 images: expected labels that"):
        load_splits(config.dataset, "cpu")


def test_a_few_images_of_a_dataset_with_many_classes_are_accepted():
    config = with_settings(RunConfig(), ROWS | {"dataset.name": f"{HERE}:labelled", "dataset.largest": 1_000})
    assert found_inputs(load_splits(config.dataset, "cpu")).classes == 1_001


@pytest.mark.long
def test_a_run_with_very_many_classes_has_no_confusion_matrix_and_says_so(caplog):
    of_many = {"dataset.name": f"{HERE}:labelled", "dataset.largest": 2_500, "dataset.count": 3_000}
    sizes = {"dataset.train_size": 2_400, "dataset.validation_size": 300, "dataset.test_size": 300}
    config = with_settings(RunConfig(), ROWS | of_many | sizes | {"model.classes": 2_501, "epochs": 1})
    tracker = MemoryTracker()
    record = complete_run(begin_run(config, tracker, "own"), tracker)
    assert record.outcome == "completed"
    assert not {"mistakes.json", "confusion.png"} & tracker.runs[record.run_id].artifacts.keys()
    (said,) = [each for each in caplog.messages if "classes" in each]
    assert "has 2,501 classes; with more than 2,000, no confusion matrix" in said


def test_rows_of_features_are_not_augmented():
    config = table(augmentation__rotation=10.0)
    with pytest.raises(BadInputError, match="augmentation is set for rows of 8 features: expected images"):
        require_sound(config, load_splits(config.dataset, "cpu"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer.decay": 2.0}, r"optimizer '.*SignDescent' can't be built .*decay 2.0 is outside"),
        ({"model.width": -1}, "model '.*Small' can't be built"),
        ({"model.classes": 2}, r"returns \(16, 2\) for images \(16, 2, 12, 12\): expected \(16, 3 or more\)"),
        ({"model.name": f"{HERE}:Probabilities"}, "returns probabilities: expected logits or log-probabilities"),
        (
            {"model.name": f"{HERE}:OnlyEvaluated"},
            "returns logits in training mode, log-probabilities in evaluation mode",
        ),
        (
            {"model.outputs": "logits"},
            "model.outputs 'logits' is not what the model returns: expected log-probabilities",
        ),
        ({"model.name": f"{HERE}:Lazy"}, r"has lazy modules \(1\), which get their sizes only from a first batch"),
        (
            {"model.name": f"{HERE}:Squeezed", "dataset.train_size": 225},
            "on a batch of 1 of 225 images in batches of 32",
        ),
        (
            {"model.name": f"{HERE}:Normed", "dataset.train_size": 225, "batch_size": 16},
            "on a batch of 1 of 225 images",
        ),
        (
            {"model.name": f"{HERE}:Normed", "batch_size": 1},
            "on a batch of 1 of 240 images in batches of 1 .*; choose a batch_size and a dataset.train_size that",
        ),
        ({"model.name": f"{HERE}:Squeezed", "evaluation_batch_size": 79}, "in evaluation mode on a batch of 1 of 80"),
        ({"model.name": f"{HERE}:Undefined"}, "returns nan in training mode, for 16 of 16 images: expected numbers"),
        ({"model.name": "torch.nn:Flatten"}, "optimizer got an empty parameter list"),
        ({"optimizer.name": "pytorch_optimizer:SophiaH"}, "optimizer 'pytorch_optimizer:SophiaH' fails in a step"),
        ({"optimizer.name": f"{HERE}:Forgetful"}, "it keeps optimizer.steps outside its state"),
        (
            {"optimizer.name": f"{HERE}:SlowWeights"},
            "it keeps optimizer.count, optimizer.slow outside its state",
        ),
        ({"model.name": f"{HERE}:Noisy"}, "drawn from its own generator"),
        ({"model.name": f"{HERE}:Unrepeatable"}, r"differs when it is built twice from seed 0 \(linear.bias\)"),
        ({"model.name": f"{HERE}:OneSeed"}, "gives the same run for the seeds 0 and 1"),
        ({"model.name": f"{HERE}:OneSeedForEachStep"}, "gives the same run for the seeds 0 and 1"),
        (
            {"optimizer.name": f"{HERE}:Adaptive", "schedule.name": "one-cycle"},
            r"schedule 'one-cycle' changes the learning rate, but the 'lr' of optimizer .* is None",
        ),
        (
            {"optimizer.name": "pytorch_optimizer:AdaFactor", "optimizer.lr": None, "schedule.warm_up_epochs": 1},
            "schedule 'constant' changes the learning rate, but the 'lr' of optimizer .*AdaFactor",
        ),
        ({"optimizer.name": f"{HERE}:Unstorable"}, "has a state that can't be stored"),
    ],
    ids=str,
)
def test_parts_that_would_fail_or_differ_in_a_run_are_refused_before_it_begins(settings, message):
    config = with_settings(own(), settings)
    tracker = MemoryTracker()
    with pytest.raises(BadInputError, match=message):
        begin_run(config, tracker, "own")
    assert not tracker.runs


@pytest.mark.parametrize(
    ("part", "how", "message"),
    [
        ("model:Odd", "reading", "has a state that can't be read (KeyError: 'gone')"),
        ("model:Odd", "named tuple", "has a state that can't be stored (it holds tests.own.shapes.Pair)"),
        ("model:Odd", "loading", "can't be resumed from its own state (RuntimeError: no way back)"),
        (
            "model:Odd",
            "late layer",
            "can't be resumed from its own state (RuntimeError: Error(s) in loading state_dict",
        ),
        ("model:Odd", "modes", "can't be put into evaluation mode (RuntimeError: no modes)"),
        ("optimizer:OddState", "reading", "has a state that can't be read (RuntimeError: no state)"),
        ("optimizer:OddState", "loading", "can't be resumed from its own state (RuntimeError: no way back)"),
        ("optimizer:OddState", "growing", "can't be resumed from its own state (ValueError: loaded state dict has"),
        ("optimizer:OddState", "nothing", "can't be built with these values (AttributeError: "),
    ],
    ids=str,
)
def test_own_code_that_fails_around_its_state_is_refused_by_name_in_one_line(part, how, message):
    kind, name = part.split(":")
    config = with_settings(own(), {f"{kind}.name": f"{HERE}:{name}", f"{kind}.how": how})
    with pytest.raises(BadInputError) as caught:
        require_sound(config, load_splits(config.dataset, "cpu"))
    said = str(caught.value)
    assert f"{kind} '{HERE}:{name}' " in said
    assert message in said
    assert "\n" not in said


def test_a_model_with_more_outputs_than_the_dataset_has_classes_is_refused(small, config: RunConfig):
    config = with_settings(config, {"model.name": f"{HERE}:Normed", "model.classes": 11})
    with pytest.raises(BadInputError, match=r"returns \(16, 11\) for images .*: expected \(16, 10\)"):
        require_sound(config, Splits(*map(_small_images, (small.train, small.validation, small.test)), "", ""))


def _small_images(split: Split) -> Split:
    """Return the images cut to the size that `Normed` takes."""
    return Split(split.images[:][:, None, :12, :12].expand(-1, 2, -1, -1), split.labels)


@pytest.mark.parametrize(
    "name", ["Scores", "Zeros", "Frequencies", "Parametrized", "Remembering", "Drawn", "Precise"]
)
def test_repeatable_models_are_accepted_and_recognised_as_models_of_logits(name):
    config = with_settings(own(), {"model.name": f"{HERE}:{name}"})
    assert require_sound(config, load_splits(config.dataset, "cpu")) == with_settings(
        config, {"model.outputs": "logits"}
    )


@pytest.mark.parametrize(
    ("name", "layers"), [("once", "1.weight, 1.bias"), ("DefaultLayer", "norm.weight, norm.bias")]
)
def test_a_model_that_begins_with_what_another_has_trained_is_refused(name, layers):
    config = with_settings(own(), {"model.name": f"{HERE}:{name}"})
    with pytest.raises(BadInputError, match=rf"^model '.*:{name}' begins with what an earlier model .*{layers}"):
        require_sound(config, load_splits(config.dataset, "cpu"))


@pytest.mark.parametrize("hides", [False, True])
def test_a_model_with_a_layer_in_the_body_of_its_class_which_nothing_trains_is_refused(hides):
    settings = {"model.name": f"{HERE}:LayerOfTheClass", "model.hides": hides, "optimizer.name": "adam"}
    config = with_settings(own(), settings)
    with pytest.raises(BadInputError, match=r"has layers in the body of a class \(scale\), which no optimizer"):
        require_sound(config, load_splits(config.dataset, "cpu"))


@pytest.mark.parametrize("name", ["OnFrozen", "FrozenLayerOfTheClass", "Copied", "again_once", "WithUnknown"])
def test_a_model_that_shares_layers_with_others_without_a_trace_of_training_is_accepted(name):
    config = with_settings(own(), {"model.name": f"{HERE}:{name}", "optimizer.name": "adam"})
    assert require_sound(config, load_splits(config.dataset, "cpu"))


def test_the_loss_of_a_model_that_returns_bfloat16_is_summed_in_float32():
    config = with_settings(own(), {"model.name": f"{HERE}:Rough", "model.outputs": "logits"})
    data = load_splits(config.dataset, "cpu").test
    model = shapes.Rough().eval()
    loss, _, outputs = evaluate(model, data, config)
    given = model(normalize(data.images[:], config.dataset)).detach()
    exact = torch.nn.functional.cross_entropy(given.double(), data.labels)
    assert loss == pytest.approx(float(exact), rel=1e-6)
    assert outputs.dtype == torch.float32


def test_a_model_that_ends_the_process_is_refused():
    config = with_settings(own(), {"model.name": f"{HERE}:Exiting"})
    with pytest.raises(BadInputError, match=r"model '.*:Exiting' fails on 16 images.*SystemExit: enough"):
        require_sound(config, load_splits(config.dataset, "cpu"))


@pytest.mark.parametrize("name", ["Spread", "Clamped"])
def test_a_model_of_log_probabilities_is_one_even_if_other_weights_are_invalid(name):
    config = with_settings(own(), {"model.name": f"{HERE}:{name}", "model.outputs": "log_probabilities"})
    assert require_sound(config, load_splits(config.dataset, "cpu")) == config


def test_the_check_tries_every_batch_size_that_a_study_can_draw():
    config = own(model__name=f"{HERE}:Squeezed", dataset__train_size=225)
    data = load_splits(config.dataset, "cpu")
    require_sound(with_settings(config, {"batch_size": 50}), data, [100])
    with pytest.raises(BadInputError, match="on a batch of 1 of 225 images in batches of 56"):
        require_sound(with_settings(config, {"batch_size": 50}), data, range(40, 61))


def test_the_check_does_not_need_more_images_than_the_run(small, config: RunConfig):
    """Use a batch size that leaves a batch of one image of 16 images, but not of the run's own images."""
    config = with_settings(own(), {"model.name": f"{HERE}:Normed", "batch_size": 15})
    require_sound(config, load_splits(config.dataset, "cpu"))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "final s0 mine lr=0.01 bs=32"),
        ({"optimizer.name": f"{HERE}:Adaptive"}, "final s0 mine learning_rate=0.01 bs=32"),
        ({"optimizer.name": "pytorch_optimizer:AdaFactor", "optimizer.lr": None}, "final s0 mine bs=32"),
    ],
    ids=str,
)
def test_a_run_name_has_the_learning_rate_under_the_optimizers_own_name(settings, name):
    assert run_name(with_settings(own(), settings), "mine", "final s0") == name


def test_text_that_a_model_prints_goes_to_stderr(capsys):
    config = own(model__name=f"{HERE}:Talkative", epochs=1)
    data = load_splits(config.dataset, "cpu")
    train_epochs(config, initial_state(config), data, 1, ["test"])
    printed = capsys.readouterr()
    assert (printed.out, "looking at" in printed.err) == ("", True)


@pytest.mark.slow
def test_a_model_of_logits_predicts_and_is_exported_as_probabilities(project):
    tracker = MlflowTracker()
    config = own(model__name=f"{HERE}:Scores", epochs=8)
    record = complete_run(begin_run(config, tracker, "own"), tracker)
    assert record.config.model.outputs == "logits"
    seen = predict_test_image(record.run_id, 3)
    assert sum(seen.probabilities) == pytest.approx(1)
    test = load_splits(config.dataset, "cpu").test
    registered = register_model(record.run_id, "scores")
    exported = mlflow.pyfunc.load_model(registered.uri).predict(test.images[2:5].numpy())
    assert exported[1].tolist() == pytest.approx(seen.probabilities, rel=1e-5)
    again = reproduce(record.run_id)
    assert (again.environment, again.first_difference) == ((), None)


BARS_OF_OURS = {key: each for key, each in ALL_OWN.items() if not key.startswith("model.")}


@pytest.mark.parametrize("name", ["convnet", "mlp"])
@pytest.mark.parametrize("dataset", ["bars", "grey_bars"])
def test_built_in_networks_fit_the_images_and_classes_of_own_data(name, dataset):
    settings = {"model.name": name, "optimizer.lr": 0.003, "dataset.name": f"{HERE}:{dataset}"}
    config = with_settings(RunConfig(), BARS_OF_OURS | settings)
    data = load_splits(config.dataset, "cpu")
    sound = require_sound(config, data)
    assert (sound.model.shape, sound.model.classes) == ((2, 12, 12), 3)
    assert require_sound(sound, data) == sound
    again = parse_config(json.loads(canonical_json(sound)))
    assert (again, config_hash(again)) == (sound, config_hash(sound))
    whole = train_epochs(sound, initial_state(sound), data, 4, ["test"])
    assert whole.mistakes.class_names == ("0", "1", "2")
    assert whole.metrics[-1].test_accuracy > 0.6
    assert in_slices(sound, data, 4, ["test"])[0].hash() == whole.state.hash()
    assert measure_seconds(config).train > 0


def test_own_images_of_mnists_shape_and_at_most_ten_classes_leave_the_config_unchanged(small, config):
    named = with_settings(config, BARS | {"dataset.name": f"{HERE}:bars"})
    data = Splits(small.train, small.validation, small.test, "", "")
    few = Split(small.train.images, small.train.labels % 3)
    for split in (data, Splits(few, few, few, "", "")):
        found = with_inputs(named, found_inputs(split))
        assert found == named
        assert new_model(found).linear2.out_features == 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"dataset.name": f"{HERE}:table"},
            r"model 'convnet' takes images, and 'tests.own.shapes:table' has rows of 8",
        ),
        (
            {"dataset.name": f"{HERE}:failing", "dataset.how": "small"},
            "images of 6 by 6 pixels or more, and .* has 5 by 4",
        ),
        (
            {"dataset.mean": [0.1, 0.2, 0.3]},
            r"dataset.mean \[0.1, 0.2, 0.3\] has 3 numbers: expected 1, or 2, one per channel",
        ),
        ({"dataset.std": []}, r"dataset.std \[\] has 0 numbers: expected 1, or 2"),
    ],
    ids=str,
)
def test_own_data_that_do_not_fit_a_built_in_network_are_refused(settings, message):
    config = with_settings(RunConfig(), BARS_OF_OURS | settings)
    with pytest.raises(BadInputError, match=message):
        begin_run(config, MemoryTracker(), "own")


def test_a_config_that_contradicts_own_data_is_refused():
    config = with_settings(RunConfig(), BARS_OF_OURS)
    data = load_splits(config.dataset, "cpu")
    values = json.loads(canonical_json(require_sound(config, data)))
    more = parse_config({**values, "model": {**values["model"], "classes": 5}})
    assert require_sound(more, data) == more
    for wrong in ({"classes": 2}, {"shape": [2, 12, 13]}):
        other = parse_config({**values, "model": {**values["model"], **wrong}})
        with pytest.raises(BadInputError, match=r"model.shape, model.classes .* do not fit 'tests.own.shapes:bars'"):
            require_sound(other, data)


def test_own_images_are_normalised_by_the_mean_and_deviation_in_the_config():
    grey, rows = torch.full((1, 2, 2, 2), 51, dtype=torch.uint8), torch.tensor([[1.0, 2.0]])
    assert torch.allclose(
        normalize(grey, own(dataset__mean=[0.2, 0.1], dataset__std=0.1).dataset)[0, :, 0, 0], torch.tensor([0.0, 1.0])
    )
    assert normalize(rows, own(dataset__mean=1.0).dataset).tolist() == [[0.0, 1.0]]
    assert normalize(rows, own(dataset__std=[2.0, 4.0]).dataset).tolist() == [[0.5, 0.5]]


def test_a_run_of_own_parts_learns_and_gives_the_same_results_in_slices():
    config = own()
    data = load_splits(config.dataset, "cpu")
    require_sound(config, data)
    whole = train_epochs(config, initial_state(config), data, 4, ["test"])
    assert whole.metrics[-1].test_accuracy > 0.8
    assert whole.mistakes.class_names == ("0", "1", "2")
    state, metrics = in_slices(config, data, 4, ["test"])
    assert state.hash() == whole.state.hash()
    assert numbers(metrics) == numbers(whole.metrics)


def test_the_pace_is_measured_on_own_images():
    pace = measure_seconds(own())
    assert pace.train > 0 < pace.evaluate


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model__name": f"{HERE}:Ageing", "model__last": 1, "model__by_exit": True},
            r"^model .*:Ageing. and optimizer .* fails while its speed is measured \(SystemExit: too old\)",
        ),
        ({"optimizer__decay": 2.0}, r"fails while its speed is measured \(ValueError: decay 2.0 is outside"),
    ],
    ids=str,
)
def test_own_code_that_fails_while_the_pace_is_measured_is_refused_by_name(settings, message):
    model = {} if "model__name" in settings else {"model__width": 8}
    config = with_settings(RunConfig(), {key: each for key, each in ALL_OWN.items() if key != "model.width"})
    config = with_settings(config, {key.replace("__", "."): each for key, each in (model | settings).items()})
    with pytest.raises(BadInputError, match=message):
        measure_seconds(config)


@pytest.mark.long
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


@pytest.mark.long
@pytest.mark.parametrize("name", THIRD_PARTY)
def test_third_party_optimizers_train_and_resume_bit_by_bit(few, config_of_few: RunConfig, name):
    config = with_settings(config_of_few, {"optimizer.name": f"pytorch_optimizer:{name}", "epochs": 2})
    require_sound(config, few)
    whole = train_epochs(config, initial_state(config), few, 2, [])
    state, _ = in_slices(config, few, 2, [])
    assert state.hash() == whole.state.hash()
    assert all(weight.isfinite().all() for weight in whole.state.model.values())
