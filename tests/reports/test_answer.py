"""The answer is never stronger than the statistics."""

import re

import pandas as pd
import pytest

from reports.answer import answer, sanity
from reports.caveats import Caveats, EqualFinals, Majority
from reports.statistics import paired_differences, tiers
from tests.null_sweeps import sweeps


def summary(finals, **columns):
    frame = pd.DataFrame({"optimizer": list(finals)})
    return frame.assign(**({"edges": "", "diverged": 0, "failed": 0, "lost_finals": 0, "epochs_spent": 8} | columns))


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_a_winner_is_named_only_where_the_tiers_have_one(seeds):
    for effect in (0.0, 0.02):
        for finals in sweeps(100, seeds, effect=effect):
            first = answer(False, finals, summary(finals))[0]
            alone = len(tiers(finals)[0]) == 1
            assert (" is the best, at " in first) == alone
            assert first.startswith(("Tied", "Undecided") if not alone else tuple("abcde"))


def test_a_tie_names_all_that_are_tied():
    finals = {name: {1: 0.98, 2: 0.99, 3: 0.985} for name in ("adam", "sgd", "rmsprop")}
    first, second = answer(False, finals, summary(finals))
    assert first.startswith("Tied: adam, sgd and rmsprop can't be told apart at 3 seeds")
    assert second == "Each had 8 epochs of tuning and 3 fresh seeds; 3 seeds see only large differences."


def test_a_winner_comes_with_its_margin_and_interval():
    finals = next(iter(sweeps(1, 10, effect=0.01)))
    sentences = answer(False, finals, summary(finals))
    assert re.match(r"a is the best, at 99\.\d\d%.* points above . \(95% interval 0\.\d\d to 1\.\d\d\)", sentences[0])
    assert re.search(r"a difference under 0\.\d\d points would often go unseen", sentences[1])


def test_every_caveat_that_applies_is_said():
    finals = next(iter(sweeps(1, 3)))
    told = summary(finals, edges=["lr 1", "", "", "", ""], diverged=1, failed=0, lost_finals=[0, 2, 0, 0, 0])
    said = " ".join(answer(True, finals, told))
    for caveat in (
        "these accuracies mean nothing",
        "at the edge of what was searched: a;",
        "3 seeds see only large differences",
        "are left out: b;",
        "5 trials diverged",
    ):
        assert caveat in said
    assert "failed" not in said
    clean = " ".join(answer(False, next(iter(sweeps(1, 5))), summary(finals)))
    assert not re.search(r"subset|edge|only large|left out|diverged", clean)


@pytest.mark.parametrize(("share", "said"), [(0.9801, True), (0.98, True), (0.9799, False)])
def test_a_best_mean_that_is_not_above_the_majoritys_share_is_said(share, said):
    finals = {"adam": {1: 0.97, 2: 0.98, 3: 0.99}, "sgd": {1: 0.96, 2: 0.97, 3: 0.95}}
    sentences = answer(False, finals, summary(finals), against=Caveats(majority=Majority("cat", share)))
    sentence = f"always saying class cat, the most frequent, gives {share:.2%}, and adam is no better"
    assert (sentence in sentences[1]) == said
    assert "always" not in sentences[0]


def test_finals_that_are_equal_to_the_last_digit_are_said():
    finals = {name: {1: 0.98, 2: 0.98} for name in ("a", "b", "c")}
    equal = (EqualFinals(("a",), 2), EqualFinals(("a", "b", "c"), 2), EqualFinals(("d", "e"), 2))
    said = answer(False, finals, summary(finals), against=Caveats(equal=equal))[1]
    assert "the finals of a are equal to the last digit on all 2 seeds, so its seed may not act;" in said
    assert "the finals of a, b and c are equal to the last digit on all 2 seeds, seed by seed, so what sets" in said
    assert "d and e" not in said  # which have no final in the answer


def test_what_trials_and_finals_failed_with_is_said():
    finals = next(iter(sweeps(1, 5)))
    told = summary(finals, failed=[2, 0, 0, 0, 0], lost_finals=[0, 2, 0, 0, 0])
    against = Caveats(trial_cause="most often KeyError: 'x'", final_cause="the train loss is not finite")
    said = answer(False, finals, told, against=against)[1]
    assert "2 trials failed, at the cost of budget (most often KeyError: 'x')" in said
    assert "finals that did not complete are left out: b (the train loss is not finite)" in said


def test_sanity_says_whether_the_general_optimizer_was_not_worse():
    better = {1: 0.99, 2: 0.991, 3: 0.989, 4: 0.9905}
    worse = {seed: value - 0.05 - seed / 1000 for seed, value in better.items()}
    held = {(each.general, each.special): each.held for each in sanity({"momentum": better, "sgd": worse})}
    assert held == {("momentum", "sgd"): True}
    few = {name: dict(list(values.items())[:2]) for name, values in {"adam": worse, "sgd": better}.items()}
    assert sanity(few) == []
    held = {(each.general, each.special): each.held for each in sanity({"adam": worse, "sgd": better})}
    assert held == {("adam", "sgd"): False}
    assert sanity({"adagrad": better, "sgd": worse}) == []


def test_what_is_not_there_yet_is_said():
    finals = next(iter(sweeps(1, 5))) | {"f": {}, "g": {}}
    said = answer(False, finals, summary(finals), ended=False)[1]
    assert "; it has not ended;" in said
    assert said.endswith("no final has completed of f and g.")


@pytest.mark.parametrize(
    ("ended", "first"), [(False, "No final has completed yet, so"), (True, "No final has completed, so")]
)
def test_without_a_completed_final_there_is_no_answer_and_the_caveats_stay(ended, first):
    finals = {"a": {}, "b": {}}
    said = answer(False, finals, summary(finals, diverged=[3, 0]), ended)
    assert said[0].startswith(first)
    assert "3 trials diverged" in said[1]


def test_seeds_and_budgets_that_differ_are_given_as_ranges():
    finals = {"a": {1: 0.98, 2: 0.99, 3: 0.985}, "b": {1: 0.98, 2: 0.99, 3: 0.985, 4: 0.99}}
    said = answer(False, finals, summary(finals, epochs_spent=[6, 8]))[1]
    assert said.startswith("Each had 6 to 8 epochs of tuning and 3 to 4 fresh seeds")


def test_an_optimizer_that_is_better_on_shared_seeds_alone_is_not_named_the_best():
    shared = {1: 0.990, 2: 0.9901, 3: 0.9899}
    finals = {"a": shared | {4: 0.95, 5: 0.95}, "b": {1: 0.9801, 2: 0.9800, 3: 0.9799}}
    (pair,) = paired_differences(finals)
    assert (pair.better, pair.told_apart) == ("a", True)
    assert answer(False, finals, summary(finals))[0].startswith("Tied: b and a can't be told apart")
