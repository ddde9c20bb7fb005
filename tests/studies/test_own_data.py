"""A sweep of a user's own data begins only if all its trials can have these data, and warns of them once."""

import pytest

from harness.config import RunConfig, with_settings
from harness.errors import BadInputError
from harness.training.data import load_splits
from studies.beginning import begin_sweep
from studies.definition import SweepDefinition
from studies.space import Choice, Range
from tests.memory_tracker import MemoryTracker

HERE = "tests.own.shapes"
ROWS = {
    "dataset.name": f"{HERE}:table",
    "dataset.train_size": 200,
    "dataset.validation_size": 100,
    "dataset.test_size": 100,
    "model.name": "mlp",
    "threads": 1,
}
SIZES = Choice(choices=(100, 200, 250))


def sweep_of(searched, settings=None, **fixed) -> SweepDefinition:
    """Return a sweep of a table of 400 rows with these searched values, and with a variant that fixes the others."""
    return SweepDefinition(
        base=with_settings(RunConfig(), ROWS | (settings or {})),
        optimizers=("adam", "one"),
        variants={"one": {"optimizer.name": "sgd"} | {f"dataset.{key}": value for key, value in fixed.items()}},
        space=searched,
        spaces={},
        budget=2,
        trial_epochs=1,
        final_seeds=(1,),
        final_epochs=1,
    )


@pytest.mark.parametrize(
    ("searched", "fixed", "message"),
    [
        ({"dataset.train_size": SIZES}, {}, r"validation_size 350: expected at most 300, the training images in"),
        (
            {"dataset.validation_size": SIZES},
            {},
            r"validation_size 450: expected at most 300, the training images in",
        ),
        ({"dataset.train_size": Range(low=100, high=301, integer=True)}, {}, "validation_size 401: expected at most"),
        ({}, {"train_size": 201}, "validation_size 301: expected at most 300, the training images in"),
        ({}, {"test_size": 399}, r"test_size 399: expected 1 to 398"),
        (
            {},
            {"test_size": 99},
            r"^dataset\.test_size 99 of 'one' gives other training or test images than 100 of the",
        ),
        (
            {"dataset.split_seed": Choice(choices=(0, 1))},
            {},
            r"^dataset\.split_seed 1 of 'adam' gives other training",
        ),
        (
            {},
            {"name": "wine", "train_size": 40},
            r"^dataset\.name 'wine' of 'one' gives other training or test images",
        ),
    ],
    ids=str,
)
def test_a_sweep_whose_trials_can_not_all_have_their_images_is_refused_before_it_begins(searched, fixed, message):
    tracker = MemoryTracker()
    with pytest.raises(BadInputError, match=message) as caught:
        begin_sweep("own", sweep_of(searched, **fixed), tracker, None, None, fresh=False)
    assert "\n" not in str(caught.value)
    assert not tracker.runs


@pytest.mark.long
def test_a_sweep_searches_sizes_that_its_data_have(project):
    sizes = {"dataset.train_size": Choice(choices=(100, 200)), "dataset.validation_size": Choice(choices=(50, 100))}
    assert begin_sweep("own", sweep_of(sizes), MemoryTracker(), None, None, fresh=False).sweep_id


def test_data_that_several_studies_share_are_read_once_more_and_no_more(project, monkeypatch):
    loaded = []
    monkeypatch.setattr("studies.beginning.load_splits", lambda *of: loaded.append(of) or load_splits(*of))
    sizes = {"dataset.train_size": Choice(choices=(100, 150))}
    begin_sweep("own", sweep_of(sizes), MemoryTracker(), None, None, fresh=False)
    assert len(loaded) == 1


@pytest.mark.long
def test_a_sweep_with_very_many_classes_says_so_once(project, caplog):
    of_many = {"dataset.name": f"{HERE}:labelled", "dataset.largest": 2_500, "dataset.count": 3_000}
    sizes = {"dataset.train_size": 2_400, "dataset.validation_size": 300, "dataset.test_size": 300}
    definition = sweep_of({"batch_size": Choice(choices=(32, 64))}, of_many | sizes)
    begin_sweep("own", definition, MemoryTracker(), None, None, fresh=False)
    (said,) = [each for each in caplog.messages if "classes" in each]
    assert "has 2,501 classes; with more than 2,000, no confusion matrix" in said
