"""The comparison of two sweeps shows significant changes and differences in what was done."""

import re
from dataclasses import replace

import pytest

from reports.comparing import build_comparison
from reports.statistics import sweep_changes
from tests.reports.sweeps import CHILDREN, changed, run, source


def named(run_id, *arguments, **tags):
    made = source(*arguments, **tags)
    return replace(made, sweep=replace(made.sweep, run_id=run_id))


def page(one, other):
    return build_comparison(one, other)["report.html"].decode()


def test_differences_in_what_was_done_are_named_with_both_values():
    later = named("later", CHILDREN, changed(budget=4), **{"harness.torch": "2.15"})
    files = build_comparison(named("earlier"), later)
    text = files["report.html"].decode()
    assert '<th scope="row">budget</th><td>2</td><td>4</td>' in text
    assert '<th scope="row">torch</th><td>–</td><td>2.15</td>' in text
    assert "There are too few seeds to compare the two." in text
    assert "| budget | 2 | 4 |" in files["report.md"].decode()


def test_each_side_has_its_name_as_a_heading_and_its_answer_once():
    text = page(named("earlier"), named("later"))
    one, other = re.search(r"<h1>(.+) and (.+)</h1>", text).groups()
    headings = re.findall(r"<h2>(.+)</h2>\n<p>(.+)</p>", text)
    assert [heading for heading, _ in headings[:2]] == [one, other]
    assert text.count(f"<p>{headings[0][1]}</p>") == 2, "the sweeps are alike: one answer each"


def test_two_equal_sweeps_are_said_not_to_differ():
    assert "Nothing: definition, data, commit, torch build and device are the same." in page(named("a"), named("b"))


def test_other_data_are_said_to_make_accuracies_incomparable():
    text = page(named("a"), named("b", **{"harness.data_digest": "other"}))
    assert "The two used different data" in text
    assert "The two used different data" not in page(named("a"), named("b"))


def test_no_optimizer_in_common_still_gives_a_page():
    other = named("b", [run("sgd", "final", 1, [0.9])], changed(optimizers=("sgd",)))
    one = named("a", [run("adam", "final", 1, [0.9])], changed(optimizers=("adam",)))
    assert "The two sweeps have no optimizer in common." in page(one, other)


def test_names_are_escaped():
    assert page(named("a"), named("b")).count("<script") == 1, "the page's own"


def finals(*accuracies):
    return {"adam": dict(enumerate(accuracies))}


def test_a_change_is_shown_only_if_it_is_significant_and_there_are_enough_seeds():
    before, after = finals(0.980, 0.981, 0.982), finals(0.990, 0.991, 0.992)
    (change,) = sweep_changes(before, after)
    assert change.told_apart
    assert change.difference == pytest.approx(0.01)
    assert change.low < 0.01 < change.high
    assert not sweep_changes(before, finals(0.980, 0.982, 0.984))[0].told_apart
    (few,) = sweep_changes(finals(0.98, 0.981), finals(0.99, 0.991))
    assert not few.told_apart
    assert few.low is not None
    assert sweep_changes(before, {"sgd": {1: 0.9}}) == []
