"""Columns of tables have the right headings, roles and texts."""

import pytest

from reports.columns import setting
from reports.contents import contents
from reports.shown_tables import shown_tables
from tests.reports.sweeps import changed, source


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
