"""The comparison of two sweeps shows significant changes and differences in what was done."""

import csv
import io
import re
from dataclasses import replace

import pytest
from scipy import stats

from harness.records import Tag
from reports.comparing import build_comparison
from reports.statistics import sweep_changes
from studies.requirements import SEEDS_APART
from tests.reports.sweeps import CHILDREN, changed, replicated, run, source


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


@pytest.mark.long
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


@pytest.mark.parametrize("stuck", [[0.98] * 3, [346 / 360] * 3])
def test_an_optimizer_that_was_stuck_in_one_sweep_is_compared_by_the_spread_of_the_other(stuck):
    after = [0.99, 0.991, 0.992]
    (change,) = sweep_changes(finals(*stuck), finals(*after))
    assert change.told_apart
    expected = stats.ttest_1samp(after, stuck[0])  # what Welch's test is if one of the samples does not vary
    low, high = expected.confidence_interval(0.95)
    assert (change.low, change.high) == pytest.approx((low - stuck[0], high - stuck[0]))
    assert change.p == pytest.approx(expected.pvalue)


def trained(run_id, accuracies, replicates=1, name="adam"):
    """Return the sweep with these finals, in a list for each replicate; None for a final that diverged."""
    children = []
    for replicate, of in enumerate(accuracies, 1):
        for number, accuracy in enumerate(of, 1):
            outcome = "completed" if accuracy is not None else "diverged"
            final = run(name, "final", SEEDS_APART * (replicate - 1) + number, [0.5, accuracy or 0.1], outcome)
            final.tags["harness.replicate"] = str(replicate)
            children.append(final)
    seeds = tuple(range(1, 1 + max(map(len, accuracies))))
    return named(
        run_id, children, changed(optimizers=(name,), final_seeds=seeds, replicates=replicates, subset=False)
    )


def change(one, other):
    """Return the only row of the table of changes, and the text of the page."""
    files = build_comparison(one, other)
    (row,) = csv.DictReader(io.StringIO(files["tables/changes.csv"].decode()))
    return row, files["report.html"].decode()


BEFORE = [[0.960, 0.961, 0.960, 0.961], [0.970, 0.971, 0.970, 0.971], [0.980, 0.981, 0.980, 0.981]]
AFTER = [[each + 0.008 for each in of] for of in BEFORE]
OF_TUNING, OF_WINNERS = (
    "about this way of tuning, with new searches and new seeds",
    "about these winners, on new seeds",
)


def test_finals_of_one_replicate_are_one_unit_in_the_comparison_of_two_sweeps():
    lucky, text = change(trained("a", BEFORE, 3), trained("b", AFTER, 3))
    assert lucky["told_apart"] == "False", "twelve finals each, but three searches, which differ by more"
    assert float(lucky["difference"]) == pytest.approx(0.008)
    assert float(lucky["low"]) == pytest.approx(0.008 - 2.776445 * 0.01 * (2 / 3) ** 0.5)
    assert (lucky["tested"], lucky["units"]) == ("True", "replicates")
    assert "The changes are about this way of tuning, with new searches and new seeds." in text
    apart, _ = change(trained("a", BEFORE, 3), trained("b", [[each - 0.05 for each in of] for of in BEFORE], 3))
    assert apart["told_apart"] == "True"


@pytest.mark.long
def test_a_comparison_says_whether_it_is_about_the_winners_or_about_the_way_of_tuning():
    single, text = change(trained("a", BEFORE[:1]), trained("b", AFTER[:1]))
    assert single["told_apart"] == "True"
    assert "The changes are about these winners, on new seeds." in text
    mixed, text = change(trained("a", BEFORE[:1]), trained("b", AFTER, 3))
    assert mixed["units"] == "seeds or replicates"
    assert re.search(r"The changes are about the winners of \S+ a, which has one replicate, on new seeds\.", text)
    few, text = change(trained("a", BEFORE[:2], 2), trained("b", AFTER[:2], 2))
    assert few["tested"] == "False"
    assert "There are too few replicates to compare the two." in text
    assert "The changes are" not in text


def test_only_complete_replicates_are_compared():
    row, _ = change(trained("a", [*BEFORE, [0.90]], 4), trained("b", AFTER, 3))
    assert float(row["before"]) == pytest.approx(0.9705)
    begun = page(trained("a", [[0.90], [0.91, 0.92]], 3), trained("b", AFTER, 3))
    assert "No optimizer has finals of a complete replicate in both sweeps." in begun
    assert "No optimizer has completed finals in both sweeps." in page(named("a", []), trained("b", AFTER, 3))


def test_an_optimizer_with_a_lost_final_is_shown_in_a_comparison_but_not_told_apart():
    lost = [[*BEFORE[0], None]]
    for one, other in ((lost, AFTER[:1]), (AFTER[:1], lost)):
        row, text = change(trained("a", one), trained("b", other))
        assert (row["told_apart"], row["tested"], row["p"], row["low"]) == ("False", "False", "1.0", "")
        assert abs(float(row["difference"])) == pytest.approx(0.008), "the means are shown"
        assert "Nothing is claimed about adam, since finals did not complete." in text
        assert "a final did not complete</td>" in text
        assert '<p class="answer">No optimizer completed all its finals in both sweeps.</p>' in text


@pytest.mark.long
def test_an_optimizer_without_a_winner_of_a_search_is_not_said_to_have_lost_a_final():
    whole = replicated({"adam": 0.98, "sgd": 0.97}, trials=1)
    second = [each for each in whole.runs if (each.tags[Tag.OPTIMIZER], each.tags[Tag.REPLICATE]) == ("sgd", "2")]
    without = replace(whole, runs=[each for each in whole.runs if each not in second])
    without = replace(without, sweep=replace(whole.sweep, run_id="other"))
    for one, other in ((whole, without), (without, whole)):
        text = page(one, other)
        assert "Nothing is claimed about sgd, since a search found no winner." in text
        assert "a search found no winner</td>" in text
        assert "did not complete" not in text
