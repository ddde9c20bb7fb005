"""What a command says of a declared sweep: more finals or replicates, a margin, a deadline."""

import json
import signal

import pytest

from experiments.cli.adjusting import Adjustments, adjusted, seconds_of
from harness.errors import BadInputError
from tests import tiny


def changed(**said):
    return adjusted(tiny.definition(), Adjustments(**said))


def test_nothing_said_changes_nothing():
    assert changed() == tiny.definition()
    assert Adjustments().words == []


def test_what_is_said_is_in_the_definition_and_in_the_command_that_goes_on():
    said = Adjustments(trials=10, replicates=3, margin=0.1, sampler="prior", no_pruning=True, asynchronous=True)
    definition = adjusted(tiny.definition(), said)
    assert (definition.budget, definition.replicates, definition.margin) == (20, 3, 0.1)
    assert (definition.sampler, definition.pruning, definition.asynchronous) == ("prior", False, True)
    assert said.words == [
        *("--trials", "10", "--replicates", "3", "--margin", "0.1", "--sampler", "prior"),
        *("--no-pruning", "--async"),
    ]


def test_the_device_is_that_of_all_runs_and_one_that_is_not_here_is_refused():
    definition = changed(device="cpu", fast=True)
    assert (definition.base.device, definition.base.memory_format) == ("cpu", "channels_last")
    assert Adjustments(device="cpu").words == ["--device", "cpu"]
    with pytest.raises(BadInputError, match="device 'cuda:99' is not available"):
        changed(device="cuda:99")


@pytest.mark.parametrize(("count", "seeds"), [(1, (1,)), (2, (1, 2)), (5, (1, 2, 3, 4, 5))])
def test_more_finals_are_on_the_seeds_after_the_declared_ones(count, seeds):
    assert changed(seeds=count).final_seeds == seeds


def test_declared_looks_end_with_the_finals_that_there_are():
    looks = tiny.definition().model_copy(update={"final_seeds": tuple(range(1, 9)), "looks": (4, 8)})
    assert adjusted(looks, Adjustments(seeds=16)).looks_at == (4, 8, 16)
    assert adjusted(looks, Adjustments(seeds=6)).looks_at == (4, 6)
    assert adjusted(looks, Adjustments(replicates=3, seeds=2)).looks_at == (3,)


def test_until_a_margin_is_a_cap_of_looks():
    finals = changed(until=0.2)
    assert (finals.margin, finals.looks_at, len(finals.final_seeds)) == (0.2, (8, 16, 32), 32)
    several = changed(until=0.2, replicates=3)
    assert (several.margin, several.looks_at, several.replicates) == (0.2, (3, 6, 12), 12)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_a_duration_is_in_seconds_minutes_or_hours(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["10", "0m", "m", "ten minutes", "-5m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(BadInputError, match="such as 90s"):
        seconds_of(text)


@pytest.mark.slow
def test_a_sweep_ends_in_time_with_a_report_of_what_there_is_and_goes_on(sweep):
    stopped = sweep("--for", "9s", "--slice-seconds", "0.1", "--trials", "400", "--json", TINY_IMAGES="800")
    printed = stopped.end_with(0)
    assert "the time is over" in printed
    assert "the same command goes on where this one stopped" in printed
    assert json.loads(printed[printed.index("\n{") + 1 :])["outcome"] == "killed"


@pytest.mark.slow
def test_ctrl_c_ends_with_a_report_of_what_there_is(sweep):
    started = sweep("--trials", "400", TINY_IMAGES="800")
    started.wait_for("epoch ", times=3)
    started.signal_group(signal.SIGINT)
    printed = started.end_with(130)
    assert "No final has completed, so there is no answer" in printed
    assert "report: " in printed
