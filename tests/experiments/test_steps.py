"""The command line says its flags and commands where the packages below say a parameter, or what is to be done."""

import pytest
import typer

from experiments.cli.app import app
from experiments.cli.steps import flags_of, next_step, with_flags
from harness.cut_off import CutOff

FLAGS = {"data_dir": "--data-dir", "file_format": "--format"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name a folder with `data_dir`, or leave it out", "name a folder with --data-dir, or leave it out"),
        ("`file_format` 'parquet' is binary", "--format 'parquet' is binary"),
        ("a RunConfig called `run`, and `state_dict()`", "a RunConfig called `run`, and `state_dict()`"),
        ("the folder 'data_dir' does not exist", "the folder 'data_dir' does not exist"),
    ],
)
def test_a_parameter_in_backticks_becomes_its_flag_and_nothing_else_does(text, said):
    assert with_flags(text, FLAGS) == said


def test_a_parameter_has_the_same_flag_in_every_command():
    of_each = [flags_of(command.params) for command in typer.main.get_command(app).commands.values()]
    every = {name: flag for flags in of_each for name, flag in flags.items()}
    assert all(every[name] == flag for flags in of_each for name, flag in flags.items())
    assert every.items() >= {"data_dir": "--data-dir", "out": "--out", "fresh": "--fresh"}.items()
    assert "run_id" not in every, "an argument has no flag"


@pytest.mark.parametrize(
    ("goes_on", "command", "said"),
    [
        (None, None, ""),
        ("run", None, "`harness run --resume abc` resumes it, or "),
        ("sweep", None, "`harness sweep smoke` resumes it, or "),
        ("sweep", "harness sweep smoke --trials 3", "`harness sweep smoke --trials 3` resumes it, or "),
    ],
)
def test_a_cut_off_run_is_shown_with_the_command_that_resumes_it_if_there_is_one(goes_on, command, said):
    cut_off = CutOff(run_id="abc", stage="trial", experiment="smoke", goes_on=goes_on, command=command)
    assert next_step(cut_off) == f"{said}`mlflow runs delete --run-id abc` closes it"
