"""The command line says its own flags where the packages below name a parameter."""

import pytest

from experiments.cli.steps import with_flags

FLAGS = {"data_dir": "--data-dir", "file_format": "--format"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name a folder with `data_dir`, or leave it out", "name a folder with --data-dir, or leave it out"),
        ("`file_format` 'parquet' is not text", "--format 'parquet' is not text"),
        ("a RunConfig called `run`, and `state_dict()`", "a RunConfig called `run`, and `state_dict()`"),
        ("the folder 'data_dir' is not there", "the folder 'data_dir' is not there"),
    ],
)
def test_a_parameter_in_backticks_becomes_its_flag_and_nothing_else_does(text, said):
    assert with_flags(text, FLAGS) == said
