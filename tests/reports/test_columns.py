"""Columns of tables have the right headings, roles and texts."""

import itertools
import math

import pytest

from harness.records import POINT_ACCURACY
from reports.columns import NOTHING, Table, setting
from reports.computed import compute
from reports.contents import contents
from reports.optimizers import IN_MLFLOW, ON_PAGE, ON_TERMINAL
from reports.shown_tables import shown_tables
from tests.reports.sweeps import CHILDREN, changed, run, source


def test_winners_have_a_column_for_each_hyperparameter_searched_for_any_of_them():
    definition = changed(space={}, spaces=changed().spaces | {"adam": changed().spaces["adam"] | changed().space})
    table = shown_tables(contents(source(definition=definition)))["winners"]
    roles = {column.label: column.role for column in table.columns}
    assert [label for label, role in roles.items() if role == "hyperparameter"] == ["optimizer.lr", "batch_size"]
    assert table.cells == [["sgd", "1", "0.1", "–", "80.00", "0"], ["adam", "1", "0.1", "32", "70.00", "1"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (True, "True"),
        ("tanh", "tanh"),
        ("32", "32"),
        (32.0, "32"),
        (32, "32"),
        (0.123456, "0.123"),
        (1e-5, "1e-05"),
        (2e6, "2e+06"),
    ],
)
def test_a_hyperparameters_value_is_shown_by_its_type(value, text):
    assert setting(value) == text


def test_every_row_has_a_text_in_every_column():
    for name, table in shown_tables(contents(source())).items():
        assert len(table.rows) or name in ("failures", "tuning", "others")
        assert all(len(row) == len(table.columns) for row in table.cells), name


@pytest.mark.parametrize("missed", [(), ("sgd",), ("adam",)])
def test_finals_that_missed_the_target_are_said_to_make_the_ratio_a_bound_only_if_they_are_the_slower_optimizers(
    missed,
):
    first = {"adam": 5, "sgd": 7}  # tenths of an epoch until the target
    children = [run(name, "trial", 0, [0.9]) for name in first]
    for name, seed in itertools.product(first, range(1, 6)):
        final = run(name, "final", seed, [0.9, 0.9])
        final.params["dataset.train_size"] = "640"
        at = math.inf if name in missed and seed == 5 else first[name]
        final.history[POINT_ACCURACY] = {64 * tenth: 0.9 if tenth >= at else 0.5 for tenth in range(1, 21)}
        children.append(final)
    table = shown_tables(contents(source(children, changed(final_seeds=(1, 2, 3, 4, 5)))))["others"]
    assert ["images to 80.0%", "adam", "sgd"] in [row[:3] for row in table.cells]
    words = (
        " A final that did not reach the target counts all its images: where only the slower optimizer has such "
        "finals, the true ratio is at least as large; where the faster one has some, it may be smaller."
    )
    assert table.note.endswith("with a margin of 1.25." + (words if missed else ""))


def finals_of(wrong, images):
    """Return a sweep in which each optimizer's finals got that many of the test images wrong, one number a final."""
    finals = [
        run(name, "final", seed, [0.5, 1 - each / images])
        for name, of in wrong.items()
        for seed, each in enumerate(of, 1)
    ]
    return [*CHILDREN[:3], *finals]


def test_an_interval_that_is_not_known_yet_is_shown_nowhere():
    first_of_three = source(finals_of({"sgd": (3, 4, 5), "adam": (3, 4, 6)}, 100), changed(replicates=3))
    summary = compute(first_of_three).summary
    for columns, shown in ((ON_TERMINAL, ""), (ON_PAGE, NOTHING), (IN_MLFLOW, NOTHING)):
        at = [each.label for each in columns].index("95% interval")
        assert [cells[at] for cells in Table("", columns, summary.to_dict("records")).cells] == [shown, shown]


@pytest.mark.parametrize("wrong", range(1, 9))
def test_a_final_with_exactly_twice_the_median_error_is_not_spoilt(wrong):
    finals = finals_of({"sgd": (wrong, wrong, 2 * wrong), "adam": (wrong, wrong, 2 * wrong + 1)}, 360)
    assert compute(source(finals)).summary.set_index("optimizer")["spoilt_finals"].to_dict() == {"sgd": 0, "adam": 1}
