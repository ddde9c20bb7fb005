"""The report says what a sweep was declared to do, and on how many images each optimizer was trained."""

import pytest

from harness.config import validated
from reports.design import design, epoch_size
from studies.definition import SweepDefinition
from tests.reports.judged import definition_of
from tests.reports.sweeps import CHILDREN, changed, source

FINALS = {name: {1: 0.98, 2: 0.981, 3: 0.979} for name in ("mine", "few")}
ADAM = {"optimizer.name": "adam"}


def of_variants(**settings):
    """Return the definition of two variants of Adam; the second has these settings."""
    return definition_of(FINALS, variants={"mine": ADAM, "few": ADAM | settings})


def test_the_number_of_training_images_of_each_variant_is_said():
    definition = of_variants(**{"dataset.train_size": 1000})
    equal = of_variants(**{"dataset.train_size": 50_000})
    assert "Variants" not in design(equal, False, "images")
    assert "Dataset: mnist, 50,000 training images. Variants with another number: few (1,000)." in design(
        definition, False, "images"
    )
    assert epoch_size(definition) is None
    assert "Variants" not in design(of_variants(), False, "images")
    assert epoch_size(of_variants()) == 50_000
    sizes = {"dataset.train_size": {"kind": "choice", "choices": [1000, 2000]}}
    assert epoch_size(validated(SweepDefinition, of_variants().model_dump() | {"space": sizes})) is None


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
