"""What went wrong fits a line: what a run failed with, and what is refused, which carries its parts."""

import pickle

import pytest

from harness.config import parse_config
from harness.errors import BadInputError, DamagedFileError, StoreAwayError, brief, described


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("KeyError: 'labels'", "KeyError: 'labels'"),
        ("RuntimeError: sizes\n\tdiffer", "RuntimeError: sizes differ"),
        ("OSError: no file '/home/me/data/x.npz'", "OSError: no file 'x.npz'"),
        ("OSError: no file C:\\\\me\\\\x.npz, sorry", "OSError: no file x.npz, sorry"),
        ("see https://example.org/a/b, or 3/4", "see https://example.org/a/b, or 3/4"),
        ('f()\n  File "/a/b.py", line 3, in f\n    g()\nValueError: one value', "ValueError: one value"),
        ("x" * 300, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_an_error_is_one_short_line_without_folders(text, line):
    assert brief(text) == line


def test_an_error_of_a_users_own_code_keeps_the_folders_that_it_names():
    error = FileNotFoundError(2, "No such file", "/home/me/data/x.npz")
    assert described(error) == "FileNotFoundError: [Errno 2] No such file: '/home/me/data/x.npz'"
    assert described(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_the_colours_of_an_errors_text_are_left_out():
    assert described(ValueError("\x1b[1mdo\x1b[0m this \x1b[31;1mfirst\x1b[0m")) == "ValueError: do this first"


def test_a_refusal_has_its_parts_as_attributes_and_is_printed_in_one_line():
    error = BadInputError("batch_size", 0, "is too few", expected="1 or more", next_step="choose more")
    assert (error.field, error.value, error.expected, error.next_step) == (
        "batch_size",
        0,
        "1 or more",
        "choose more",
    )
    assert str(error) == "batch_size 0 is too few: expected 1 or more; choose more"
    assert error.without_next_step == "batch_size 0 is too few: expected 1 or more"
    assert str(BadInputError("value", None, expected="a number")) == "value None: expected a number"
    assert str(BadInputError("value", problem="is missing")) == "value is missing"


def test_a_refusal_names_other_refused_values_and_the_enclosing_parts_in_one_line():
    other = BadInputError("epochs", 0, expected="1 or more", next_step="not said twice")
    error = BadInputError("lr", -1, expected="more than 0", next_step="correct them", also=[other])
    within = error.within("config").within("experiment 'mine'")
    assert str(within) == (
        "experiment 'mine': config: lr -1: expected more than 0; epochs 0: expected 1 or more; correct them"
    )
    assert (within.field, within.value) == ("lr", -1)
    assert str(error.but(next_step="")) == "lr -1: expected more than 0; epochs 0: expected 1 or more"


def test_a_refusal_is_the_same_one_in_another_process():
    error = DamagedFileError("checkpoint", problem="is damaged", next_step="delete it")
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), there.field, there.value) == (DamagedFileError, str(error), "checkpoint", None)
    assert str(there.within("run 'a'")) == f"run 'a': {error}"


def test_a_config_with_several_invalid_fields_names_all_in_one_refusal():
    with pytest.raises(BadInputError) as caught:
        parse_config({"batch_size": 0, "epochs": "two", "sed": 1})
    error = caught.value
    assert (error.field, error.value, error.expected) == ("batch_size", 0, "a number greater than or equal to 1")
    assert "; epochs 'two': expected a valid integer; sed is unknown: expected one of dataset, " in str(error)
    assert str(error).endswith("; correct the value and run again")
    assert str(error).count(error.next_step) == 1


def test_a_refusal_by_our_validators_keeps_its_field_and_next_step():
    with pytest.raises(BadInputError) as caught:
        parse_config({"batch_size": 60_000})
    assert (caught.value.field, caught.value.value) == ("batch_size", 60_000)
    assert str(caught.value) == (
        "batch_size 60000 is larger than the training set: expected 1 to dataset.train_size (50000); "
        "correct the value and run again"
    )
    with pytest.raises(BadInputError) as caught:
        parse_config({"model": {"name": "no_such_module:Net"}})
    assert caught.value.next_step == "install the module, or run in the folder that has it"


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (ConnectionError("postgresql://me:secret@host"), "ConnectionError"),
    ],
)
def test_an_unavailable_store_is_reported_with_its_cause_and_without_a_password(why, said):
    assert (
        str(StoreAwayError(why))
        == f"the tracking store is unavailable ({said}); run the same command again when it is available"
    )
