"""The answer never claims more than the statistics show."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.records import Tag
from reports.answer import answer, suspicions
from reports.caveats import Caveats, EqualFinals, Majority
from reports.contents import contents
from reports.document import report_document
from reports.pairs import differences_frame
from reports.shown_tables import shown_tables
from reports.verdicts import find_verdicts
from studies.space import Range
from studies.verdicts import Verdict
from tests.reports.judged import definition_of, frame_of, judged, winner
from tests.reports.sweeps import changed, replicated, run, source
from tests.simulated import sweeps


def summary(finals, **columns):
    frame = pd.DataFrame({"optimizer": list(finals)})
    return frame.assign(**({"edges": "", "diverged": 0, "failed": 0, "lost_finals": 0, "epochs_spent": 8} | columns))


def said(finals, subset=False, ended=True, against=Caveats(), of=None, **columns):
    return answer(subset, finals, summary(finals, **columns), of or judged(finals), ended, against)


@pytest.mark.long
@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_a_winner_is_named_only_where_it_is_better_than_every_other(seeds):
    for effect in (0.0, 0.02):
        for finals in sweeps(20, seeds, effect=effect):
            verdicts = judged(finals)
            first = said(finals, of=verdicts)[0]
            best = max(finals, key=lambda name: sum(finals[name].values()))
            beaten = {each.worse for each in verdicts.accuracy if each.told_apart and each.better == best}
            assert (" is the best, at " in first) == (len(beaten) == 4)
            assert first.startswith("Undecided: ") == (seeds < 3)


def test_two_seeds_are_too_few():
    finals = {"adam": {1: 0.98, 2: 0.99}, "sgd": {1: 0.90, 2: 0.91}}
    assert said(finals)[0] == "Undecided: 2 seeds are too few to compare optimizers."
    assert len(said(finals)) == 2, "there is nothing that an interval would be about"


def test_the_answer_names_better_same_and_undecided_pairs():
    calm, noise = [98.50, 98.52, 98.48, 98.50], [97.9, 98.9, 98.2, 98.6]
    accuracies = {"adam": calm, "nesterov": calm[::-1], "sgd": [each - 1 for each in calm], "rmsprop": noise}
    finals = {name: {seed: each / 100 for seed, each in enumerate(of, 1)} for name, of in accuracies.items()}
    assert said(finals)[0] == (
        "adam and nesterov are better than sgd, by 0.96 or more; adam and nesterov "
        "are the same within 0.20 points; 3 of 6 pairs are undecided."
    )
    assert said(finals)[1] == (
        "The verdicts are about these winners, on new seeds and this test set; all intervals are correct at the same "
        "time in at least 19 of 20 such sweeps."
    )


def test_the_answer_says_if_all_pairs_are_the_same_or_undecided():
    calm = {1: 0.985, 2: 0.9852, 3: 0.9848, 4: 0.985}
    same = said(dict.fromkeys(("adam", "sgd", "rmsprop"), calm))[0]
    assert same == (
        "No optimizer is shown to be better than another; adam, sgd and rmsprop are the same within 0.20 points."
    )
    noisy = said({name: {1: 0.98, 2: 0.99, 3: 0.985} for name in ("adam", "sgd")})[0]
    assert noisy == "No optimizer is shown to be better than another; the pair is undecided."


def test_replicates_give_verdicts_about_tuning_and_only_complete_ones_count():
    finals = {
        name: {
            1000 * replicate + seed: best + seed / 1e4 + replicate / 1e3 for replicate in range(3) for seed in (1, 2)
        }
        for name, best in (("adam", 0.98), ("sgd", 0.96))
    }
    finals["adam"][1] += 1e-4
    first, about, behind = said(finals, of=judged(finals, replicates=3))
    assert first.startswith("adam is the best, at 98.12% mean test accuracy: better than sgd by 1.9")
    assert about.startswith(
        "The verdicts are about this way of tuning, with new searches and new seeds, on this test set;"
    )
    assert behind.startswith("Each had 8 epochs of tuning in 3 replicates and 6 finals on fresh seeds")
    stopped = said(finals, of=judged(finals, replicates=5, looks=[3, 5]))[2]
    assert stopped.startswith("Each had 8 epochs of tuning (3 of 5 replicates complete) and 6 finals")
    del finals["sgd"][2002]
    assert said(finals, of=judged(finals, replicates=3))[0] == (
        "Undecided: 2 of 3 replicates are complete, and at least 3 are needed to compare optimizers."
    )


def test_a_winner_comes_with_its_interval_and_the_detectable_difference():
    finals = next(iter(sweeps(1, 10, effect=0.01)))
    sentences = said(finals)
    pattern = (
        r"a is the best, at 99\.\d\d% mean test accuracy: better than . by 0\.\d\d to 1\.\d\d points, and better than"
    )
    assert re.match(pattern, sentences[0])
    assert re.search(r"a difference of 0\.\d\d points would be found in 80% of such sweeps", sentences[2])


def test_nothing_is_claimed_about_an_optimizer_that_lost_a_final():
    finals = next(iter(sweeps(1, 10, effect=0.01)))
    verdicts = judged(finals | {"a": finals["a"] | {3: None}})
    assert verdicts.lost == ("a",)
    mine = [each for each in verdicts.pairs if "a" in (each.better, each.worse)]
    assert {(each.verdict, each.low, each.more) for each in mine} == {(Verdict.UNDECIDED, None, None)}
    assert "a is better" not in " ".join(said(finals, of=verdicts))


def test_an_optimizer_that_lost_all_its_finals_hides_no_verdict_on_the_others():
    finals = next(iter(sweeps(1, 10, effect=0.01)))
    verdicts = judged(finals | {"b": dict.fromkeys(finals["b"])})
    assert verdicts.enough
    assert {each.worse for each in verdicts.accuracy if each.told_apart and each.better == "a"} == {"c", "d", "e"}
    first = said(finals | {"b": {}}, of=verdicts)[0]
    assert first.startswith("a is the best of those with a final, at ")
    assert first.endswith(" points, and better than every other one of them by more.")


def with_replicates(effects, count):
    """Return two finals in each of so many replicates, around these accuracies."""
    rng = np.random.default_rng(0)
    return {
        name: {1000 * replicate + seed: mean + 0.0004 * rng.normal() for replicate in range(count) for seed in (1, 2)}
        for name, mean in effects.items()
    }


@pytest.mark.parametrize("replicate", [0, 3])
def test_an_optimizer_without_a_winner_in_a_replicate_hides_no_verdict_on_the_others(replicate):
    finals = with_replicates({"a": 0.98, "b": 0.97, "c": 0.96}, 4)
    for seed in (1, 2):
        del finals["b"][1000 * replicate + seed]
    every = [winner("a", replicate=each) for each in range(1, 5)]
    winners = {
        name: tuple(each for each in every if name != "b" or each.replicate != replicate + 1) for name in finals
    }
    verdicts = find_verdicts(frame_of(finals), definition_of(finals, replicates=4), winners)
    assert (verdicts.lost, verdicts.replicates, verdicts.complete) == (("b",), 4, 4)
    found = {(each.better, each.worse): each.verdict for each in verdicts.accuracy}
    assert found == {
        ("a", "c"): Verdict.BETTER,
        ("a", "b"): Verdict.UNDECIDED,
        ("b", "c"): Verdict.UNDECIDED,
    }
    sentences = said(finals, of=verdicts)
    assert sentences[0].startswith("a is better than c, by 1.")
    assert sentences[-1].endswith("; nothing is claimed about b, since a search found no winner.")
    assert "did not complete" not in sentences[-1], "all its finals did"
    two = find_verdicts(
        frame_of(finals | {"c": finals["c"] | {1: None}}), definition_of(finals, replicates=4), winners
    )
    last = said(finals, of=two, lost_finals=[0, 0, 1])[-1]
    assert (
        "nothing is claimed about c, since finals did not complete; nothing is claimed about b, since a search"
        in last
    )


def test_a_replicate_in_which_all_finals_of_an_optimizer_diverged_hides_no_verdict_on_the_others():
    finals = with_replicates({"a": 0.98, "b": 0.97, "c": 0.96}, 3)
    finals["b"] |= {1001: None, 1002: None}
    verdicts = judged(finals, replicates=3)
    assert verdicts.lost == ("b",)
    assert [(each.better, each.worse) for each in verdicts.accuracy if each.told_apart] == [("a", "c")]


def test_replicates_are_judged_at_declared_looks_only():
    finals = with_replicates({"a": 0.98, "b": 0.96}, 4)
    assert said(finals, of=judged(finals, replicates=5)) == [
        "Undecided: 4 of 5 replicates are complete, and the first verdicts are taken after 5.",
        "Each had 8 epochs of tuning (4 of 5 replicates complete) and 8 finals on fresh seeds.",
    ]
    first, _, last = said(finals, of=judged(finals, replicates=5, looks=[3, 5]))
    assert first.startswith("a is the best, at ")
    assert last.startswith(
        "Each had 8 epochs of tuning (4 of 5 replicates complete, the verdicts use the first 3) and"
    )


@pytest.mark.long
def test_a_sweep_that_grew_says_that_its_verdicts_are_less_sure():
    rng = np.random.default_rng(1)
    finals = {
        name: {1000 * replicate + seed: at + 0.004 * rng.normal() for replicate in range(5) for seed in (1, 2)}
        for name, at in (("adam", 0.98), ("sgd", 0.975), ("rmsprop", 0.97))
    }
    declared, grown = (judged(finals, replicates=5, looks=[3, 5], added_looks=added) for added in (0, 1))
    assert said(finals, of=declared)[1].endswith("at every look, in at least 19 of 20 such sweeps.")
    assert said(finals, of=grown)[1].endswith(
        "at every look, in at least 9 of 10 such sweeps, not in 19 of 20, since looks were added after it had begun."
    )
    begun = {name: {seed: each for seed, each in of.items() if seed < 4000} for name, of in finals.items()}
    then, still = judged(begun, replicates=3), judged(begun, replicates=5, looks=[3, 5], added_looks=1)
    assert still.pairs == then.pairs, "the verdicts before it grew stay as they were"
    assert still.pairs != judged(begun, replicates=5, looks=[3, 5]).pairs


def test_the_mean_beside_an_interval_is_that_of_the_finals_that_the_verdicts_use():
    rng = np.random.default_rng(0)
    finals = {
        name: {seed: at + 0.002 * rng.normal() - (0.3 if seed > 4 else 0) for seed in range(1, 7)}
        for name, at in (("adam", 0.98), ("sgd", 0.97))
    }
    # without seed 7 the verdicts are still those after 4
    eight = {name: of | {8: 0.9} for name, of in finals.items()}
    changes = {"final_seeds": list(range(1, 9)), "looks": [4, 8]}
    verdicts = judged(eight, **changes)
    first, _, last = said(eight, of=verdicts)
    used = np.mean([finals["adam"][seed] for seed in range(1, 5)])
    assert first.startswith(f"adam is the best, at {used:.2%} mean test accuracy: better than sgd by ")
    assert " and 7 finals on fresh seeds, of which the verdicts use 4 " in last
    (row,) = differences_frame(verdicts).to_dict("records")
    assert (row["seeds"], row["probability"]) == (4, 1.0)
    assert row["mean"] == pytest.approx(used - np.mean([finals["sgd"][seed] for seed in range(1, 5)]))
    assert "of which" not in said(finals, of=judged(finals))[-1]


def test_the_table_says_if_its_means_are_of_more_finals_than_the_verdicts_use():
    of = replicated({"adam": 0.98, "sgd": 0.96})
    note = "The means are of all finals; the tiers follow from the verdicts, which use fewer."
    assert note not in shown_tables(contents(of))["optimizers"].note
    begun = [each for each in of.runs if each.tags[Tag.STAGE] == "final"]
    fourth = [
        replace(each, run_id=f"{each.run_id}-4", tags=each.tags | {Tag.REPLICATE: "4", Tag.SEED: "3001"})
        for each in begun
        if each.tags[Tag.SEED] == "1"
    ]
    definition = of.definition.model_copy(update={"replicates": 5, "looks": (3, 5)})
    table = shown_tables(contents(replace(of, runs=[*of.runs, *fourth], definition=definition)))["optimizers"]
    assert note in table.note
    assert [row["seeds"] for row in table.rows] == [7, 7]


def test_the_published_start_has_not_won_where_a_search_found_no_winner():
    of = replicated({"adam": 0.98, "sgd": 0.97}, trials=1)
    rates = {"optimizer.lr": Range(low=0.001, high=1.0, log=True, start=0.1)}
    definition = of.definition.model_copy(update={"spaces": dict.fromkeys(("adam", "sgd"), rates), "space": {}})
    of = replace(of, definition=definition)
    second = [each for each in of.runs if each.tags[Tag.OPTIMIZER] == "sgd" and each.tags[Tag.REPLICATE] == "2"]
    without = replace(of, runs=[each for each in of.runs if each not in second])
    for of_sweep, expected in ((of, True), (without, False)):
        found = report_document(contents(of_sweep)).optimizers
        assert (found["adam"].winner_is_start, found["sgd"].winner_is_start) == (True, expected)


def test_a_difference_below_the_margin_is_said_to_be_below_it():
    def around(mean):
        return {seed: mean + seed / 1e5 for seed in range(1, 6)}

    two = {"adam": around(0.985), "sgd": around(0.9848)}
    assert said(two)[0].endswith("better than sgd by 0.02 to 0.02 points, which is less than the margin of 0.20.")
    four = two | {"adagrad": around(0.97), "rmsprop": around(0.985)}
    assert said(four)[0] == (
        "adam, sgd and rmsprop are better than adagrad, by 1.48 or more; adam and rmsprop are better than sgd, by "
        "0.02 or more, which is less than the margin of 0.20; adam and rmsprop are the same within 0.20 points."
    )


@pytest.mark.parametrize(("margin", "shown"), [(0.2, "0.20"), (0.03, "0.03"), (0.004, "0.004"), (0.125, "0.125")])
def test_a_margin_is_stated_as_it_is_and_never_rounded_to_0(margin, shown):
    calm = {seed: 0.985 + (seed % 2) / 1e7 for seed in range(1, 7)}
    of = judged({"adam": calm, "sgd": calm}, margin=margin)
    assert said({"adam": calm, "sgd": calm}, of=of)[0].endswith(f"adam and sgd are the same within {shown} points.")
    slightly = {seed: each - 1e-5 for seed, each in calm.items()}
    of = judged({"adam": calm, "sgd": slightly}, margin=margin)
    assert said({"adam": calm, "sgd": slightly}, of=of)[0].endswith(f"which is less than the margin of {shown}.")


def test_the_table_of_differences_states_the_margin_as_it_is():
    of = replicated({"adam": 0.98, "sgd": 0.96})
    of = replace(of, definition=of.definition.model_copy(update={"margin": 0.004}))
    assert shown_tables(contents(of))["differences"].note.endswith("if its interval lies within ±0.004 points.")


def test_every_caveat_that_applies_is_in_the_answer():
    finals = next(iter(sweeps(1, 3)))
    told = {"edges": ["lr 1", "", "", "", ""], "diverged": 1, "lost_finals": [0, 2, 0, 0, 0]}
    sentences = " ".join(said(finals, subset=True, **told))
    for caveat in (
        "these accuracies mean nothing",
        "not fully tuned, since the best value is at the edge of its range: a;",
        "nothing is claimed about b, since finals did not complete;",
        "5 trials diverged",
    ):
        assert caveat in sentences
    assert "failed" not in sentences
    clean = " ".join(said(next(iter(sweeps(1, 5)))))
    assert not re.search(r"subset|edge|nothing is claimed|diverged", clean)


@pytest.mark.parametrize(("share", "is_said"), [(0.9801, True), (0.98, True), (0.9799, False)])
def test_the_answer_says_if_the_best_mean_is_not_above_the_majoritys_share(share, is_said):
    finals = {"adam": {1: 0.97, 2: 0.98, 3: 0.99}, "sgd": {1: 0.96, 2: 0.97, 3: 0.95}}
    sentences = said(finals, against=Caveats(majority=Majority("cat", share)))
    sentence = f"always predicting class cat, the most frequent, gives {share:.2%}, and adam is not better than that"
    assert (sentence in sentences[-1]) == is_said
    assert "always" not in sentences[0]


def test_the_answer_names_finals_that_are_equal_to_the_last_digit():
    finals = {name: {1: 0.98, 2: 0.98} for name in ("a", "b", "c")}
    equal = (EqualFinals(("a",), 2), EqualFinals(("a", "b", "c"), 2), EqualFinals(("d", "e"), 2))
    last = said(finals, against=Caveats(equal=equal))[-1]
    assert "the finals of a are equal to the last digit on all 2 seeds, so the seed may have no effect;" in last
    assert (
        "the finals of a, b and c are equal to the last digit on all 2 seeds, seed by seed, so the settings" in last
    )
    assert "d and e" not in last  # which have no final in the answer


def test_the_answer_gives_the_cause_of_failed_trials_and_finals():
    finals = next(iter(sweeps(1, 5)))
    told = {"failed": [2, 0, 0, 0, 0], "lost_finals": [0, 2, 0, 0, 0]}
    against = Caveats(trial_cause="most often KeyError: 'x'", final_cause="the train loss is not finite")
    last = said(finals, against=against, **told)[-1]
    assert "2 trials failed and used up budget (most often KeyError: 'x')" in last
    assert "nothing is claimed about b, since finals did not complete (the train loss is not finite)" in last


def suspected(finals):
    return [(each.general, each.special) for each in suspicions(judged(finals))]


def test_tuning_is_suspicious_if_an_optimizer_is_shown_to_be_worse_than_its_special_case():
    better = {1: 0.99, 2: 0.991, 3: 0.989, 4: 0.9905}
    worse = {seed: value - 0.05 - seed / 1000 for seed, value in better.items()}
    assert suspected({"momentum": better, "sgd": worse}) == []
    few = {name: dict(list(values.items())[:2]) for name, values in {"adam": worse, "sgd": better}.items()}
    assert suspected(few) == []
    assert suspected({"adam": worse, "sgd": better}) == [("adam", "sgd")]
    assert suspected({"adagrad": better, "sgd": worse}) == []


def test_a_single_epoch_and_a_single_final_are_singular():
    one = {"adam": {1: 0.98}, "sgd": {1: 0.97}}
    assert said(one, epochs_spent=1)[-1] == "Each had 1 epoch of tuning and 1 final on a fresh seed."


@pytest.mark.parametrize("seeds", [(1, 2), (1, 2, 3)])
def test_the_table_of_differences_speaks_of_verdicts_only_if_there_are_any(seeds):
    children = [run(name, "final", seed, [0.9 + seed / 100]) for name in ("sgd", "adam") for seed in seeds]
    note = shown_tables(contents(source(children, changed(final_seeds=seeds))))["differences"].note
    if len(seeds) < 3:
        assert note == "There are no verdicts: they need at least 3 finals."
    else:
        assert note.startswith("The verdicts are about these winners")
    begun = replicated({"adam": 0.98, "sgd": 0.97})
    two = [each for each in begun.runs if each.tags[Tag.REPLICATE] != "3"]
    note = shown_tables(contents(replace(begun, runs=two)))["differences"].note
    assert note == "There are no verdicts: they need at least 3 replicates."


def test_one_optimizer_with_finals_is_the_only_one_only_if_no_other_was_compared():
    alone = {"adam": {1: 0.98, 2: 0.981, 3: 0.982}}
    assert said(alone)[0].endswith("mean test accuracy; there is no other optimizer to compare it with.")
    first, last = said(alone | {"sgd": {}})
    assert first.endswith("mean test accuracy; no other optimizer has a completed final to compare it with.")
    assert last.endswith("no final of sgd has completed.")


def test_a_difference_that_is_not_0_is_never_stated_as_0():
    calm = {seed: 0.9999 + (seed % 2) / 1e8 for seed in range(1, 7)}
    first, _, last = said({"adam": calm, "sgd": {seed: each - 3e-5 for seed, each in calm.items()}})
    assert re.search(r"better than sgd by 0\.003 to 0\.003 points, which is less than the margin of 0\.20\.", first)
    assert re.search(r"a difference of [1-9]e-06 points would be found", last)


def test_the_answer_names_what_has_not_completed_yet():
    finals = next(iter(sweeps(1, 5))) | {"f": {}, "g": {}}
    last = said(finals, ended=False)[-1]
    assert "; it has not ended yet;" in last
    assert last.endswith("no final of f and g has completed.")


@pytest.mark.parametrize(
    ("ended", "first"), [(False, "No final has completed yet, so"), (True, "No final has completed, so")]
)
def test_without_a_completed_final_there_is_no_answer_and_the_caveats_stay(ended, first):
    finals = {"a": {}, "b": {}}
    sentences = said(finals, ended=ended, diverged=[3, 0])
    assert sentences[0].startswith(first)
    assert "3 trials diverged" in sentences[1]


def test_finals_and_budgets_that_differ_are_given_as_ranges():
    finals = {"a": {1: 0.98, 2: 0.99, 3: 0.985}, "b": {1: 0.98, 2: 0.99, 3: 0.985, 4: 0.99}}
    last = said(finals, epochs_spent=[6, 8])[-1]
    assert last.startswith("Each had 6 to 8 epochs of tuning and 3 to 4 finals on fresh seeds")
