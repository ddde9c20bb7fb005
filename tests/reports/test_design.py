"""The report says what a sweep was declared to do, and on which data each optimizer was tested."""

from dataclasses import replace

import pytest

from harness.config import OwnDatasetConfig, validated, with_settings
from reports.caveats import caveats
from reports.contents import contents
from reports.design import datasets, design, epoch_size
from reports.luck import wrong_images
from reports.verdicts import find_verdicts
from studies.definition import SweepDefinition
from tests.reports.judged import definition_of, frame_of, winner
from tests.reports.sweeps import CHILDREN, DEFINITION, changed, mistakes, run, source

FINALS = {name: {1: 0.98, 2: 0.981, 3: 0.979} for name in ("mine", "fashion")}
VARIANTS = {
    "mine": {"optimizer.name": "adam"},
    "fashion": {"optimizer.name": "adam", "dataset.name": "fashion-mnist"},
}


def of_variants(**settings):
    """Return the definition of two variants of Adam; the second has these settings."""
    return definition_of(FINALS, variants={"mine": VARIANTS["mine"], "fashion": VARIANTS["mine"] | settings})


def verdicts_of(definition):
    """Return the verdicts on FINALS, with winners that have the configs of the definition's optimizers."""
    won = {
        name: (replace(winner(name), config=with_settings(definition.base, definition.settings(name))),)
        for name in FINALS
    }
    return find_verdicts(frame_of(FINALS), definition, won)


def test_verdicts_on_variants_that_were_tested_on_other_data_say_so():
    other = verdicts_of(of_variants(**{"dataset.name": "fashion-mnist"}))
    assert other.population == "these winners, on new seeds and test sets that differ between optimizers"
    assert replace(other, declared=3).population.endswith("on test sets that differ between optimizers")
    smaller = verdicts_of(of_variants(**{"dataset.train_size": 1000, "dataset.mean": [0.5], "dataset.std": [0.5]}))
    assert smaller.population == "these winners, on new seeds and this test set"


def test_own_data_with_other_arguments_or_another_split_have_another_test_set():
    own = OwnDatasetConfig(name="tests.own.shapes:bars", train_size=64, validation_size=16, test_size=16)
    definition = of_variants()
    configs = [definition.base.model_copy(update={"dataset": each}) for each in (own, own)]
    for change, same in (({}, True), ({"mean": (0.5,), "std": (0.2,)}, True), ({"split_seed": 1}, False)):
        configs[1] = definition.base.model_copy(update={"dataset": own.model_copy(update=change)})
        won = {name: (replace(winner(name), config=each),) for name, each in zip(FINALS, configs, strict=True)}
        assert find_verdicts(frame_of(FINALS), definition, won).one_test_set == same


def test_the_answer_warns_of_optimizers_that_were_tested_on_other_data():
    settings = {"dataset.name": "fashion-mnist", "dataset.train_size": 640, "dataset.validation_size": 160}
    variants = {"adam": {"optimizer.name": "adam"}, "other": {"optimizer.name": "adam"} | settings}
    children = [run(name, stage, seed, [0.9]) for name in variants for stage, seed in (("trial", 0), ("final", 1))]
    configs = {
        each.run_id: with_settings(
            DEFINITION.base,
            variants[each.name] | {"epochs": 1 + (seed := int(each.tags["harness.seed"])), "seed": seed},
        )
        for each in children
    }
    definition = changed(optimizers=tuple(variants), variants=variants, spaces={}, space={})
    said = " ".join(contents(source(children, definition, configs=configs)).answer)
    assert "; not all were tested on the same data, so a difference may come from the data;" in said
    assert "same data" not in " ".join(contents(source()).answer)


def test_what_needs_one_test_set_is_not_computed_from_several():
    first = mistakes(2).model_copy(update={"wrong": (0, 1)})
    other = first.model_copy(update={"class_names": tuple("abcdefghij")})
    assert wrong_images({"a": {"1": first}, "b": {"1": other}}) is None
    runs = contents(source()).computed.runs
    assert caveats(runs, {"a": first, "b": other}, ["adam"]).majority is None
    assert caveats(runs, {"a": first, "b": first}, ["adam"]).majority is not None


def test_the_data_of_each_variant_are_named():
    definition = of_variants(**{"dataset.name": "fashion-mnist", "dataset.train_size": 1000})
    assert (
        "Dataset: mnist, 50,000 training images. Variants with other data: fashion (fashion-mnist, 1,000)."
        in design(definition, False, "images")
    )
    assert (datasets(definition), epoch_size(definition)) == (["mnist", "fashion-mnist"], None)
    assert "Variants" not in design(of_variants(), False, "images")
    assert (datasets(of_variants()), epoch_size(of_variants())) == (["mnist"], 50_000)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"final_seeds": [1, 2]},
            "2 optimizers. Each optimizer: 8 epochs of trials, up to 1 epoch per trial; finals of 1 epoch on 2 fresh "
            "seeds. ",
        ),
        ({"final_seeds": [1, 2, 3, 4], "looks": [3, 4]}, "finals of 1 epoch on up to 4 fresh seeds. "),
        (
            {"final_seeds": [1, 2], "replicates": 3},
            "2 optimizers in 3 replicates. Each optimizer: 8 epochs of trials per replicate, up to 1 epoch per "
            "trial; finals of 1 epoch on 2 fresh seeds per replicate. ",
        ),
        ({"final_seeds": [1], "replicates": 5, "looks": [3, 5]}, "2 optimizers in up to 5 replicates. "),
    ],
)
def test_the_numbers_of_finals_and_replicates_are_upper_bounds_where_an_earlier_look_may_decide(changes, said):
    assert said in design(validated(SweepDefinition, of_variants().model_dump() | changes), False, "images")


def test_a_sweep_of_one_optimizer_is_not_called_one_of_optimizers():
    one = [each for each in CHILDREN if each.name == "adam"]
    said = design(source(one, changed(optimizers=("adam",))).definition, False, "images")
    assert said.startswith("1 optimizer. Each optimizer: 2 epochs of trials, ")
