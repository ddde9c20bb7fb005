"""The help of the commands: on a screen, in groups, each command with an example."""

import re

import pytest
import typer

from experiments.cli import app as cli
from tests.command import in_a_pipe

SCREEN = 40  # lines, of which a shell has one before and one after
HEADING = re.compile(r"^── (.+?) ─+$", re.MULTILINE)
COMMANDS = typer.main.get_command(cli.app).commands


def help_of(*command, columns=80):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        code, text = in_a_pipe(*command, "--help")
    assert code == 0
    return text


def test_the_commands_are_grouped_and_each_has_an_example_on_one_screen():
    text = help_of()
    assert HEADING.findall(text) == ["Do", "Look", "Check", "Options"]
    for name in COMMANDS:
        assert len(re.findall(rf"^  harness {name}\b", text, re.MULTILINE)) == 1
    assert len(text.splitlines()) <= SCREEN - 2


@pytest.mark.parametrize("columns", [80, 100])
def test_all_options_of_a_sweep_are_on_one_screen_in_groups(columns):
    text = help_of("sweep", columns=columns)
    assert len(text.splitlines()) <= SCREEN - 2
    assert len(HEADING.findall(text)) == 5
    options = {each.opts[0] for each in COMMANDS["sweep"].params if each.param_type_name == "option"}
    assert len(options) > 25
    assert {line.split()[0] for line in text.splitlines() if line.startswith("  --")} == options


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_its_example_and_says_something_of_each_option(name):
    text = help_of(name)
    (example,) = re.findall(r"^  Example: (.+)$", text, re.MULTILINE)
    assert example.startswith(f"harness {name}")
    assert HEADING.findall(text)
    for each in COMMANDS[name].params:
        assert each.help
        assert each.param_type_name == "argument" or each.is_flag or each.metavar


def test_the_help_shows_defaults_and_environment_variables():
    text = help_of("sweep")
    assert "[default: local]" in text
    assert "[env: OPTUNA_STORAGE]" in text
    assert "optimizer.betas" in help_of("run")
