"""An option, the argument of the same name in Python, the documents and a sweep's file say the same of it."""

import inspect
from pathlib import Path

import pytest
import typer

import experiments
from experiments.cli import app as cli
from experiments.parameters import RUN, SWEEP
from harness.config import RunConfig
from studies.definition import SweepDefinition
from tests.documented import arguments_of, fields_of, rows_of

FOLDER = Path(experiments.__file__).parent
FUNCTIONS = {"run": experiments.run, "sweep": experiments.sweep}
SENTENCES = {"run": RUN, "sweep": SWEEP}
PYTHON_ALONE = {"run": {"model", "data", "optimizer"}, "sweep": {"model", "data"}}  # which `--set` says


def plain(text):
    return text.replace("`", "").rstrip(".")


def parameters(command):
    return {each.name: each for each in typer.main.get_command(cli.app).commands[command].params}


@pytest.mark.parametrize("command", FUNCTIONS)
def test_every_option_and_argument_begins_with_its_shared_sentence(command):
    helps = {name: each.help for name, each in parameters(command).items()}
    arguments = arguments_of(FUNCTIONS[command])
    assert arguments.keys() == inspect.signature(FUNCTIONS[command]).parameters.keys()
    assert SENTENCES[command].keys() == helps.keys() | arguments.keys() - PYTHON_ALONE[command]
    for name, sentence in SENTENCES[command].items():
        for text in (helps.get(name), arguments.get(name)):
            assert text is None or plain(text).startswith(sentence), (name, text)


def test_an_option_has_the_same_default_as_its_python_argument():
    for command, function in FUNCTIONS.items():
        known = parameters(command)
        for name, argument in inspect.signature(function).parameters.items():
            if name in known and name not in {"experiment", "device"}:  # which `run` may be without, or has as "auto"
                assert (known[name].default or None) == (argument.default or None), name


@pytest.mark.parametrize(
    ("kind", "sentences", "shared"),
    [
        (
            SweepDefinition,
            SWEEP,
            {"optimizers", "budget", "sampler", "pruning", "asynchronous", "replicates", "margin"},
        ),
        (RunConfig, RUN, {"seed", "epochs", "device"}),
    ],
)
def test_a_field_of_a_file_is_described_as_the_option_of_the_same_name(kind, sentences, shared):
    fields = fields_of(kind)
    assert fields.keys() & sentences.keys() == shared
    for name in shared:
        assert plain(fields[name]).startswith(sentences[name])


def test_the_page_of_fields_describes_every_field_as_the_code_does():
    _, *tables = (FOLDER / "fields.md").read_text(encoding="utf-8").split("\n## ")
    for table, kind in zip(tables, (SweepDefinition, RunConfig), strict=True):
        assert rows_of(table) == fields_of(kind)
        assert rows_of(table).keys() == kind.model_fields.keys()


def test_the_table_of_options_describes_them_as_their_help_does():
    tables = rows_of((FOLDER / "declaring.md").read_text(encoding="utf-8"))
    rows = {option: text for option, text in tables.items() if option.startswith("--")}
    options = {each.opts[0]: name for name, each in parameters("sweep").items()}
    assert len(rows) > 5
    for option, text in rows.items():
        assert plain(text).startswith(SWEEP[options[option.split()[0]]]), option
