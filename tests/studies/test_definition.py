"""A definition is checked before training: its spaces draw only valid values, and fixed settings stay fixed."""

import json

import pytest

from harness.config import SEEDS, validated, with_settings
from harness.errors import BadInputError
from studies.definition import SweepDefinition
from studies.progress import SweepObserver
from studies.replicates import confirming_seeds
from studies.space import Choice, Range
from studies.sweep import run_sweep
from tests.memory_tracker import MemoryTracker

OWN = {"model.name": "tests.own.signatures:Annotated"}


def with_changes(definition: SweepDefinition, **changes) -> SweepDefinition:
    return SweepDefinition.model_validate(definition.model_dump() | changes)


def with_space(definition: SweepDefinition, key: str, dimension: Range | Choice, **changes) -> SweepDefinition:
    """Return a definition with Adam only, and with a user's own model if the key is one of its settings."""
    settings = {"optimizer.name": "adam"} | (OWN if key in ("model.width", "model.hidden", "model.tag") else {})
    of_one = {"optimizers": ("one",), "variants": {"one": settings}, "space": {key: dimension}, "spaces": {}}
    return with_changes(definition, **of_one, **changes)


@pytest.mark.parametrize(
    ("key", "dimension", "message"),
    [
        (
            "batch_size",
            Range(low=16, high=256),
            r"batch_size 92\.39.*; set integer = true in the range of batch_size",
        ),
        ("batch_size", Range(low=16, high=256, log=True), "set integer = true in the range of batch_size"),
        (
            "batch_size",
            Range(low=0, high=64, integer=True),
            "batch_size 0: expected a number greater than or equal to 1",
        ),
        ("batch_size", Range(low=64, high=400, integer=True), "batch_size 400 is larger than the"),
        ("batch_size", Choice(choices=(32, 64, 0)), "batch_size 0: expected a number greater"),
        ("batch_size", Choice(choices=(32, 64, "all")), "batch_size 'all': expected a valid integer"),
        ("model.dropout", Range(low=0, high=1), r"model\.dropout 1\.0: expected a number less than 1"),
        ("optimizer.lr", Range(low=0, high=0.1), r"optimizer\.lr 0\.0: expected a number greater than 0"),
        (
            "optimizer.betas.0",
            Range(low=0, high=0.5, complement=True),
            r"optimizer\.betas\.0 1\.0: expected a number less",
        ),
        ("model.activation", Choice(choices=("relu", "tanh", "gelu")), "model.activation 'gelu'"),
        (
            "model.width",
            Range(low=8, high=64),
            "'width' of .*: expected int.*; set integer = true in the range of model",
        ),
        ("model.hidden", Choice(choices=(True, "False")), "'hidden' of .* 'False': expected bool"),
        ("model.tag", Choice(choices=("a", 1)), "'tag' of .* 1: expected str"),
        ("dataset.validation_size", Choice(choices=(80, 0)), "dataset.validation_size 0: expected 1 or more"),
        ("dataset.validation_size", Range(low=0, high=80, integer=True), "dataset.validation_size 0: expected 1"),
        ("schedule.warm_up_epochs", Choice(choices=(0, 2)), r"warm_up_epochs 2.0: expected 0 to epochs \(1\)"),
    ],
    ids=str,
)
def test_a_space_that_can_draw_an_invalid_value_is_refused_by_name(definition, key, dimension, message):
    with pytest.raises(ValueError, match=message) as caught:
        with_space(definition, key, dimension)
    assert "space of 'one': " in str(caught.value)


@pytest.mark.parametrize(
    ("key", "dimension"),
    [
        ("batch_size", Range(low=16, high=256, integer=True)),
        ("batch_size", Range(low=1, high=256, log=True, integer=True)),
        ("model.dropout", Range(low=0, high=0.99)),
        ("optimizer.betas.0", Range(low=1e-3, high=1, complement=True, log=True)),
        ("model.width", Range(low=8, high=64, integer=True)),
        ("model.hidden", Choice(choices=(True, False))),
        ("model.tag", Choice(choices=("a", "1"))),
    ],
    ids=str,
)
def test_a_space_with_only_valid_values_is_accepted(definition, key, dimension):
    assert with_space(definition, key, dimension).searched("one") == {key: dimension}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizers": ("sgd", "adam", "sgd")}, r"^optimizers \['sgd', 'adam', 'sgd'\] contains 'sgd' twice"),
        ({"space": {"batch_size": Choice(choices=(32, 32))}}, r"^space.batch_size \[32, 32\] contains 32 twice"),
        (
            {"spaces": {"sgd": {"optimizer.lr": Choice(choices=(1, 0.1, 1.0))}}},
            r"^spaces.sgd.optimizer.lr \[1, 0.1, 1.0\] contains 1.0 twice: expected different values; remove",
        ),
    ],
    ids=str,
)
def test_an_optimizer_or_choice_that_is_listed_twice_is_refused_by_name(definition, changes, message):
    with pytest.raises(BadInputError, match=message):
        validated(SweepDefinition, definition.model_dump() | changes)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [0.1]], ids=str)
@pytest.mark.parametrize("of_choice", ["choices.1", "start"])
def test_a_choice_that_is_no_finite_number_is_refused_once_by_its_place_in_the_space(definition, value, of_choice):
    values = (0.1, value, 0.2) if of_choice == "choices.1" else (0.1, 0.2)
    choice = {"kind": "choice", "choices": values} | ({"start": value} if of_choice == "start" else {})
    with pytest.raises(BadInputError) as caught:
        validated(SweepDefinition, definition.model_dump() | {"space": {"model.dropout": choice}})
    assert str(caught.value).startswith(
        f"space.model.dropout.choice.{of_choice} {value}: expected a finite number, a text, true or false; correct"
    )


def test_a_choice_without_images_to_measure_at_rungs_within_an_epoch_is_refused_by_name(definition):
    of_images = {"trajectory.images": Choice(choices=(64, 0))}
    assert with_changes(definition, space=of_images).searched("sgd")
    with pytest.raises(ValueError, match=r"space of 'sgd': trajectory\.images 0 leaves no images"):
        with_changes(definition, space=of_images, rungs=(0.5, 1))


def test_a_variant_without_validation_images_is_refused(definition):
    variants = {"adam": {"optimizer.name": "adam", "dataset.validation_size": 0}}
    with pytest.raises(ValueError, match=r"dataset\.validation_size 0: expected 1 or more, since validation"):
        with_changes(definition, variants=variants)


@pytest.mark.parametrize(("seed", "bound"), [(-1, "greater than or equal to 0"), (2**70, f"less than {2**64}")])
def test_a_final_seed_that_no_run_can_have_is_refused_with_the_definition(definition, seed, bound):
    with pytest.raises(BadInputError, match=rf"^final_seeds\.1 {seed}: expected a number {bound};"):
        validated(SweepDefinition, definition.model_dump() | {"final_seeds": (1, seed)})


def test_every_seed_of_a_confirmation_is_one_that_a_run_can_have(definition):
    base = with_settings(definition.base, {"seed": SEEDS - 1})
    found = confirming_seeds(with_changes(definition, base=base, budget=40, confirm=True))
    assert found
    assert all(0 <= seed < SEEDS for of_round in found for seed in of_round)


def test_only_the_points_of_a_grid_must_be_valid(definition):
    grid = {"sampler": "grid", "pruning": False, "budget": 4}
    assert with_space(definition, "batch_size", Range(low=32, high=64, points=2), **grid).sampler == "grid"
    with pytest.raises(ValueError, match=r"batch_size 42\.6"):
        with_space(definition, "batch_size", Range(low=32, high=64, points=4), **grid | {"budget": 8})


def test_an_invalid_setting_of_a_variant_is_not_blamed_on_the_space(definition):
    with pytest.raises(ValueError, match="batch_size 0: expected") as caught:
        with_changes(definition, variants={"adam": {"optimizer.name": "adam", "batch_size": 0}})
    assert "space of" not in str(caught.value)


@pytest.mark.parametrize(
    ("fixed", "searched"),
    [
        ({"optimizer.lr": 0.1}, {"spaces": {"adam": {"optimizer.lr": Range(low=0.1, high=1)}}}),
        ({"batch_size": 32}, {"space": {"batch_size": Choice(choices=(32, 64))}}),
        ({"optimizer.betas": [0.9, 0.99]}, {"spaces": {"adam": {"optimizer.betas.0": Range(low=0.1, high=0.9)}}}),
        ({"model.dropout.1": 0.5}, {"space": {"model.dropout": Choice(choices=(0.1,))}}),
    ],
    ids=str,
)
def test_a_key_that_is_both_fixed_and_searched_is_refused_by_name(definition, fixed, searched):
    (key,) = fixed
    with pytest.raises(
        ValueError,
        match=rf"variant 'adam' fixes {key} to .* is searched: expected a key that is either fixed or searched",
    ):
        with_changes(definition, variants={"adam": {"optimizer.name": "adam"} | fixed}, **searched)


@pytest.mark.parametrize(
    ("key", "value", "decides"), [("epochs", 9, "trial_epochs and final_epochs"), ("seed", 7, "base.seed")]
)
def test_a_variant_that_fixes_the_epochs_or_the_seed_is_refused_and_the_base_is_not(definition, key, value, decides):
    variants = {"adam": {"optimizer.name": "adam", key: value}}
    with pytest.raises(BadInputError, match=f"^variant 'adam' fixes {key} to {value}, .*: expected .* in {decides}"):
        validated(SweepDefinition, definition.model_dump() | {"variants": variants})
    assert with_changes(definition, base=with_settings(definition.base, {key: value}))


def test_a_variants_setting_replaces_a_dimension_that_waits_for_a_larger_budget(definition):
    space = {"batch_size": Choice(choices=(32, 64), from_trials=3)}
    variants = {"adam": {"optimizer.name": "adam", "batch_size": 128}}
    found = with_changes(definition, variants=variants, space=space, budget=6)
    assert "batch_size" in found.searched("sgd")
    assert "batch_size" not in found.searched("adam")
    assert found.example("adam").batch_size == 128


class Stop(SweepObserver):
    """Stop the sweep as if the user had interrupted it."""

    def trained(self, job, result):
        raise KeyboardInterrupt


@pytest.mark.long
def test_a_completed_sweep_whose_definition_is_now_invalid_does_not_block_a_new_sweep(definition, inline):
    tracker = MemoryTracker()
    with pytest.raises(KeyboardInterrupt):
        run_sweep("tiny", definition, tracker, inline, Stop())
    (sweep_id,) = (run_id for run_id, run in tracker.runs.items() if run.tags["harness.stage"] == "sweep")
    artifacts = tracker.runs[sweep_id].artifacts
    then = json.loads(artifacts["definition.json"])
    then["space"]["model.dropout"]["high"] = 1.0
    artifacts["definition.json"] = json.dumps(then).encode()
    with pytest.raises(BadInputError, match=r"valid \(space of .sgd.: model.dropout 1.0.*; use `fresh`") as caught:
        run_sweep("tiny", definition, tracker, inline)
    assert "\n" not in str(caught.value)
    tracker.runs[sweep_id].tags["harness.outcome"] = "completed"
    assert run_sweep("tiny", definition, tracker, inline).sweep_id != sweep_id


def test_a_variants_epoch_has_the_images_of_its_own_dataset(definition):
    of_variants = {
        "base": {"optimizer.name": "adam"},
        "smaller": {"optimizer.name": "adam", "dataset.train_size": 32},
        "digits": {"optimizer.name": "adam", "dataset.name": "digits", "model.name": "mlp"},
        "part": {"dataset.name": "digits", "dataset.train_size": 500, "model.name": "mlp"},
    }
    base = with_settings(definition.base, {"dataset.train_size": 50_000, "dataset.validation_size": 10_000})
    values = {"base": base, "optimizers": tuple(of_variants), "variants": of_variants, "spaces": {}, "space": {}}
    several = with_changes(definition, **values)
    assert {name: several.images(name, 1) for name in of_variants} == {
        name: several.example(name).dataset.train_size for name in of_variants
    }
    assert [several.images(name, 0.5) for name in of_variants] == [25_000, 16, 500, 250]
