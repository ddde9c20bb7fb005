"""The report's verdicts cover accuracy, loss and time; gains of tuning and sources of luck follow their formulas."""

import math

import numpy as np
import pandas as pd
import pytest

from harness.records import Outcome, Stage
from reports.luck import Luck, image_luck, luck_of, wrong_images
from reports.targets import judged_target, target_accuracies, time_to_target
from reports.tuning import tuning_gains
from reports.verdicts import TimeToTarget, find_verdicts
from studies.verdicts import Verdict
from tests.reports.judged import definition_of, frame_of, judged, winner
from tests.reports.sweeps import mistakes
from tests.simulated import replicates

CALM = {1: 0.985, 2: 0.9852, 3: 0.9848, 4: 0.985}


def shifted(by):
    return {seed: each + by for seed, each in CALM.items()}


def test_loss_is_judged_beside_accuracy_with_a_margin_of_its_own():
    losses = {"adam": {seed: 0.05 + seed / 1e4 for seed in CALM}, "sgd": {seed: 0.08 + seed / 1e4 for seed in CALM}}
    verdicts = judged({"adam": CALM, "sgd": CALM}, losses)
    found = {each.outcome: each for each in verdicts.pairs}
    assert found["accuracy"].verdict is Verdict.SAME
    assert (found["loss"].better, found["loss"].verdict) == ("adam", Verdict.BETTER)
    assert found["loss"].difference == pytest.approx(0.03)
    assert found["loss"].search_luck is None


def test_loss_is_judged_on_the_finals_that_the_verdicts_on_accuracy_use():
    noisy = {name: {seed: 0.98 + 0.01 * (-1) ** seed for seed in range(1, 9)} for name in ("adam", "sgd")}
    losses = {name: {seed: at + seed / 1e4 for seed in range(1, 9)} for name, at in (("adam", 0.05), ("sgd", 0.08))}
    losses["sgd"][8] = 0.16
    (pair,) = (each for each in judged(noisy, losses, looks=[4, 8]).pairs if each.outcome == "loss")
    assert pair.difference == pytest.approx(np.mean([0.03] * 7 + [0.1092])), "its loss alone would be decided at 4"
    calm = {
        name: dict.fromkeys(range(1, 9), 0.98 + at) | {1: 0.9801 + at} for name, at in (("adam", 0), ("sgd", 0.01))
    }
    (pair,) = (each for each in judged(calm, losses, looks=[4, 8]).pairs if each.outcome == "loss")
    assert pair.difference == pytest.approx(0.03), "decided at 4 by accuracy"


def test_a_better_winner_has_the_search_luck_up_to_which_its_optimizer_is_better():
    of_winners = judged({"adam": CALM, "sgd": shifted(-0.01)}).accuracy[0]
    assert of_winners.verdict is Verdict.BETTER
    assert 0.0025 < of_winners.search_luck < 0.0030, "sqrt(((D / c)^2 - se^2) / 2), where c is 2.45"
    several = {
        name: {1000 * r + s: m + s / 1e4 for r in range(3) for s in (1, 2)} for name, m in (("a", 0.9), ("b", 0.8))
    }
    several["a"][1] += 1e-4
    assert judged(several, replicates=3).accuracy[0].search_luck is None


def test_an_undecided_pair_has_the_number_of_finals_that_would_decide_it():
    noisy = {"adam": {1: 0.98, 2: 0.99, 3: 0.985}, "sgd": {1: 0.97, 2: 0.985, 3: 0.98}}
    (pair,) = judged(noisy).accuracy
    assert pair.verdict is Verdict.UNDECIDED
    width = pair.difference - pair.low
    assert pair.more == math.ceil(3 * (width / pair.difference) ** 2)


def test_the_number_of_finals_that_would_decide_counts_from_the_finals_used():
    rng = np.random.default_rng(4)
    noisy = {
        name: {seed: mean + 0.004 * rng.normal() for seed in range(1, 9)}
        for name, mean in (("a", 0.98), ("b", 0.978))
    }
    (pair,) = judged(noisy, final_seeds=list(range(1, 33)), looks=[8, 32]).accuracy
    assert pair.verdict is Verdict.UNDECIDED
    half_width = 0.002 - pair.difference  # then it would lie within the margin
    assert pair.more == math.ceil(8 * ((pair.difference - pair.low) / half_width) ** 2)


def test_the_margin_is_declared_or_an_eighth_of_the_best_winners_error():
    assert judged({"adam": CALM}, margin=0.3).margin == pytest.approx(0.003)
    definition = definition_of({"adam": CALM, "sgd": CALM}, margin=None)
    winners = {"adam": (winner("adam", 0.984),), "sgd": (winner("sgd", 0.97),)}
    assert find_verdicts(frame_of({"adam": CALM}), definition, winners).margin == 0.002


@pytest.mark.parametrize(("accuracy", "margin"), [(1.0, 0.0003), (359 / 360, 0.0003), (352 / 360, 0.003)])
def test_a_winner_without_a_validation_mistake_has_the_margin_of_one_with_a_single_mistake(accuracy, margin):
    definition = definition_of({"adam": CALM, "sgd": CALM}, margin=None)
    data = definition.base.dataset.model_copy(update={"validation_size": 360})
    definition = definition.model_copy(update={"base": definition.base.model_copy(update={"dataset": data})})
    found = find_verdicts(frame_of({"adam": CALM, "sgd": CALM}), definition, {"adam": (winner("adam", accuracy),)})
    assert found.margin == margin


def time(images, points=9.0, horizon=None):
    of = {name: {1: of} for name, of in images.items()}
    return TimeToTarget(0.97, of, dict.fromkeys(images, points), horizon or dict.fromkeys(images, 1000.0), 0.0)


def test_the_time_to_a_target_is_judged_as_a_ratio():
    images = {"adam": {1: 100.0, 2: 110, 3: 105, 4: 102}, "sgd": {1: 300.0, 2: 310, 3: 330, 4: 290}}
    finals = dict.fromkeys(images, CALM)
    (found,) = (each for each in judged(finals, target=time(images)).pairs if each.outcome == "images_to_target")
    assert (found.better, found.verdict) == ("adam", Verdict.BETTER)
    assert found.low < found.difference < found.high
    assert found.difference == pytest.approx(
        math.exp(np.log([300, 310, 330, 290]).mean() - np.log([100, 110, 105, 102]).mean())
    )


def test_a_target_that_is_often_missed_or_reached_at_once_has_no_verdict():
    finals = {"adam": CALM, "sgd": CALM}
    missed = {"adam": {seed: 100.0 + seed for seed in CALM}, "sgd": {1: math.inf, 2: 100.0, 3: 90.0, 4: 80.0}}
    quick = {name: {seed: 100.0 + seed for seed in CALM} for name in finals}
    assert judged(finals, target=time(missed)).target is None
    assert judged(finals, target=time(quick, points=4.0)).target is None
    assert judged(finals, target=time(quick)).target == 0.97


def test_targets_come_from_the_winners_errors_in_tuning():
    definition = definition_of({"adam": CALM, "sgd": CALM})
    winners = {"adam": (winner("adam", 0.98),), "sgd": (winner("sgd", 0.96), winner("sgd", 0.97, replicate=2))}
    assert target_accuracies(definition, winners) == pytest.approx((0.88, 0.94, 0.9625), abs=0.0006)
    assert target_accuracies(definition, {}) == (0.97, 0.98, 0.985, 0.99)
    bad = {"adam": (winner("adam", 0.3),)}
    assert (target_accuracies(definition, bad), judged_target(bad)) == ((0.125,), None), "below 0 there is no target"
    assert target_accuracies(definition, {"adam": (winner("adam", 1.0),)}) == (0.97, 0.98, 0.985, 0.99)


def test_time_is_counted_to_the_first_point_at_the_target():
    runs = frame_of({"adam": {1: 0.98}}).assign(run_id="a")
    courses = pd.DataFrame({"run_id": ["a"] * 3, "epochs": [0.5, 0.25, 1.0], "accuracy": [0.97, 0.9, 0.98]})
    found = time_to_target(runs, courses, definition_of({"adam": {1: 0.98}}), 0.97)
    assert found.images == {"adam": {1: {1: 25_000}}}
    assert (found.points, found.horizon) == ({"adam": 2}, {"adam": 50_000})
    assert found.least_variance == pytest.approx(math.log(2) ** 2 / 12)
    assert time_to_target(runs, courses, definition_of({"adam": {1: 0.98}}), 0.99).points == {"adam": math.inf}


def test_images_to_a_target_and_of_a_whole_final_are_those_of_a_variants_own_training_set():
    sizes = {"half": 25_000, "whole": 50_000}
    finals = {name: {1: 0.98} for name in sizes}
    definition = definition_of(finals, variants={name: {"dataset.train_size": size} for name, size in sizes.items()})
    runs = frame_of(finals).assign(run_id=["half", "whole"])
    courses = pd.DataFrame(
        {"run_id": [*sizes] * 2, "epochs": [0.3, 0.3, 0.6, 0.6], "accuracy": [0.9] * 2 + [0.98] * 2}
    )
    found = time_to_target(runs, courses, definition, 0.97)
    assert found.images == {"half": {1: {1: 15_000}}, "whole": {1: {1: 30_000}}}
    assert found.horizon == sizes


def test_a_final_that_missed_the_target_counts_the_images_of_a_whole_final_of_its_own_variant():
    reached = {1: 100.0, 2: 110.0, 3: 105.0, 4: 102.0}
    images = {
        "half": reached | {5: math.inf},
        "whole": {seed: 2 * each for seed, each in reached.items()} | {5: 2000.0},
    }
    finals = dict.fromkeys(images, CALM | {5: 0.985})
    timed = time(images, horizon={"half": 1000.0, "whole": 2000.0})
    (found,) = (each for each in judged(finals, target=timed).pairs if each.outcome == "images_to_target")
    assert (found.better, found.difference) == ("half", pytest.approx(2.0))


@pytest.mark.parametrize(("replicates", "failures"), [(1, 2), (4, 1)])
def test_a_final_that_failed_leaves_only_its_own_optimizer_without_a_verdict_on_time(replicates, failures):
    seeds = [1, 2, 3, 4] if replicates == 1 else [1000 * number + 1 for number in range(replicates)]
    finals = {name: dict.fromkeys(seeds, 0.98) for name in ("adam", "sgd", "nesterov")}
    definition = definition_of(finals, replicates=replicates)
    runs = frame_of(finals).assign(run_id=lambda frame: frame["optimizer"] + frame["seed"])
    crashed = runs["run_id"].isin([f"nesterov{seed}" for seed in seeds[:failures]])
    runs.loc[crashed, ["outcome", "test_accuracy"]] = [Outcome.FAILED, None]
    first = {"adam": 5, "sgd": 9, "nesterov": 7}  # tenths of an epoch until the target
    courses = pd.DataFrame(
        [
            (row["run_id"], tenth / 10 + int(row["seed"]) / 1e6, 0.9 + 0.08 * (tenth >= first[row["optimizer"]]))
            for row in runs.to_dict("records")
            for tenth in (range(1, 10) if row["outcome"] == Outcome.COMPLETED else ())
        ],
        columns=["run_id", "epochs", "accuracy"],
    )
    target = time_to_target(runs, courses, definition, 0.97)
    assert target.points == first, "a lost final does not count as one that never reached it"
    found = [each for each in find_verdicts(runs, definition, {}, target).pairs if each.outcome == "images_to_target"]
    decided = [(each.better, each.worse, each.verdict) for each in found if each.low is not None]
    assert decided == [("adam", "sgd", Verdict.BETTER)]


def gains(winners, starts, others=None, **changes):
    finals = frame_of({"adam": {seed: each for of in winners.values() for seed, each in of.items()}} | (others or {}))
    before = frame_of({"adam": starts}).assign(stage=Stage.START)
    definition = definition_of({"adam": CALM}, start_finals=True, **changes)
    found = {"adam": tuple(winner("adam", replicate=number, is_start=won) for number, won in winners)}
    (gain,) = tuning_gains(pd.concat([finals, before], ignore_index=True), definition, found, margin=0.002)
    return gain


def test_tuning_is_judged_against_the_published_start_on_the_same_seeds():
    better = gains({(1, False): shifted(0.01)}, {seed: each - seed / 1e4 for seed, each in CALM.items()})
    assert (better.verdict, better.starts_won) == (Verdict.BETTER, 0)
    assert better.difference == pytest.approx(0.01025)
    assert better.in_words.startswith("better than the published start by 1.0")
    slightly = gains({(1, False): CALM}, {seed: each - seed / 1e5 for seed, each in CALM.items()})
    assert slightly.in_words == "better than the published start, but by less than the margin"
    same = gains({(1, False): CALM}, {seed: each - (-1) ** seed / 1e4 for seed, each in CALM.items()})
    assert same.in_words == "the same as the published start, within the margin"
    unmeasured = gains({(1, False): CALM}, {})
    assert unmeasured.in_words == "the published start was not measured"
    won = gains({(1, True): CALM}, {})
    assert (won.in_words, won.difference) == ("the search found nothing better than the published start", 0)


def test_a_replicate_that_the_start_won_counts_as_no_gain():
    winners = {
        (1, True): {1: 0.98, 2: 0.981},
        (2, False): {1001: 0.98, 1002: 0.982},
        (3, False): {2001: 0.983, 2002: 0.981},
    }
    starts = {1001: 0.979, 1002: 0.980, 2001: 0.979, 2002: 0.981}
    gain = gains(winners, starts, replicates=3, final_seeds=[1, 2])
    assert gain.difference == pytest.approx((0 + 0.0015 + 0.002) / 3)
    assert (gain.searches, gain.starts_won, gain.verdict) == (3, 1, Verdict.UNDECIDED)
    assert gain.in_words.startswith("undecided against the published start, difference -0.")


def test_nothing_is_claimed_of_tuning_if_a_final_of_the_winner_or_the_start_was_lost():
    starts = {seed: each - seed / 1e4 for seed, each in CALM.items()}
    said = "not judged against the published start, since a final did not complete"
    for winners, beside in ((shifted(0.01) | {3: None}, starts), (shifted(0.01), starts | {3: None})):
        gain = gains({(1, False): winners}, beside)
        assert (gain.verdict, gain.low, gain.high, gain.lost) == (Verdict.UNDECIDED, None, None, 1)
        assert gain.in_words == said
    all_lost = gains({(1, False): CALM}, dict.fromkeys(CALM))
    assert all_lost.in_words.endswith("since 4 finals did not complete"), "so the start was measured"
    several = {(each, False): {1000 * (each - 1) + 1: 0.99 + each / 1e4} for each in (1, 2, 3, 4)}
    before = {1: 0.98, 1001: None, 2001: 0.98, 3001: 0.98}
    assert gains(several, before, replicates=4, final_seeds=[1, 2]).in_words == said
    assert gains({(1, True): CALM | {3: None}}, {}).in_words.startswith("the search found nothing better")


def test_nothing_is_claimed_of_tuning_if_a_search_found_no_winner():
    winners = {(each, False): {1000 * (each - 1) + 1: 0.99 + each / 1e4} for each in (1, 3, 4)}
    starts, other = {1: 0.98, 2001: 0.98, 3001: 0.98}, {"sgd": {1000 * each + 1: 0.97 for each in range(4)}}
    gain = gains(winners, starts, other, replicates=4, final_seeds=[1])
    assert (gain.verdict, gain.low, gain.high, gain.searches) == (Verdict.UNDECIDED, None, None, 4)
    assert gain.in_words == "not judged against the published start, since 1 of 4 searches found no winner"
    all_starts = {(each, True): of for (each, _), of in winners.items()}
    assert gains(all_starts, {}, other, replicates=4, final_seeds=[1]).in_words == gain.in_words
    assert gains(winners, starts, replicates=4, final_seeds=[1]).verdict is Verdict.BETTER, "not begun is not lost"


def test_a_final_that_has_not_run_yet_is_only_missing_from_the_gain_of_tuning():
    starts = {seed: each - seed / 1e4 for seed, each in CALM.items() if seed < 4}
    gain = gains({(1, False): shifted(0.01)}, starts)
    assert (gain.verdict, gain.lost) == (Verdict.BETTER, 0)
    assert gain.difference == pytest.approx(0.0102)


def test_gains_that_differ_by_float_rounding_only_have_no_interval():
    start = {1: 330 / 360, 2: 333 / 360, 3: 331 / 360}
    gain = gains({(1, False): {1: 331 / 360, 2: 334 / 360, 3: 332 / 360}}, start)
    assert gain.difference == pytest.approx(1 / 360)
    assert (gain.low, gain.high, gain.verdict) == (None, None, Verdict.UNDECIDED)
    assert gain.in_words == "undecided against the published start"


def test_luck_of_seeds_and_luck_of_searches_are_separated():
    rng = np.random.default_rng(0)
    search, seed = 0.002, 0.001
    searches = search * rng.normal(size=(8, 40, 1)) + seed * rng.normal(size=(8, 40, 2))
    luck = luck_of(
        {
            str(name): {number: dict(enumerate(each)) for number, each in enumerate(of)}
            for name, of in enumerate(searches)
        }
    )
    assert luck.seeds == pytest.approx(seed, rel=0.1)
    assert luck.searches == pytest.approx(search, rel=0.1)
    assert luck.search_low < luck.searches < luck.search_high
    assert luck_of({"a": {1: {1: 0.9, 2: 0.8}, 2: {3: 0.9, 4: 0.8}}}) is None


def test_the_interval_of_a_searchs_luck_has_its_nominal_coverage():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(300):
        table = 0.002 * rng.normal(size=(5, 4, 1)) + 0.001 * rng.normal(size=(5, 4, 2))
        luck = luck_of(
            {str(row): {n: dict(enumerate(each)) for n, each in enumerate(of)} for row, of in enumerate(table)}
        )
        held.append(luck.search_low <= 0.002 <= luck.search_high)
    assert np.mean(held) >= 0.92


@pytest.mark.parametrize("spreads", [(0.001,) * 5, (0.0005, 0.0008, 0.0005, 0.0017, 0.002)])
def test_the_interval_of_a_searchs_luck_holds_where_optimizers_share_seeds_and_splits(spreads):
    rng = np.random.default_rng(2)
    held = []
    for _ in range(600):
        split, seed = 0.001 * rng.normal(size=(1, 5, 1)), 0.0005 * rng.normal(size=(1, 5, 2))
        own = np.array(spreads)[:, None, None] * rng.normal(size=(5, 5, 2))
        table = split + seed + own
        luck = luck_of(
            {str(row): {n: dict(enumerate(each)) for n, each in enumerate(of)} for row, of in enumerate(table)}
        )
        held.append(luck.search_low <= 0.001 <= luck.search_high)
    assert np.mean(held) >= 0.95


def test_the_luck_of_test_images_is_the_spread_over_other_test_sets_of_that_size():
    rng = np.random.default_rng(3)
    images, finals, tests = 2000, 6, 400
    # of each image, how likely a final of either optimizer is to get it wrong: alike, but not the same
    likely = np.clip(rng.beta(0.1, 2, size=(images * 20, 1)) + rng.normal(0, 0.05, size=(images * 20, 2)), 0, 1)
    true, found, naive = [], [], []
    for _ in range(tests):
        of = likely[rng.integers(len(likely), size=images)]
        is_wrong = rng.random((images, 2, finals)) < of[:, :, None]
        wrong = {name: alone(np.flatnonzero(each) for each in is_wrong[:, at].T) for at, name in enumerate("ab")}
        found.append(image_luck(wrong, images))
        true.append(of.mean(axis=0) @ [1, -1])
        naive.append(np.std(is_wrong[:, 0].mean(axis=1) - is_wrong[:, 1].mean(axis=1)) / np.sqrt(images))
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(np.std(true), rel=0.1)
    assert np.mean(naive) > 1.5 * np.std(true), "finals that disagree are no luck of the images"


@pytest.mark.parametrize("search", [0.0, 0.2])
def test_finals_of_one_replicate_that_are_wrong_on_the_same_images_are_no_luck_of_the_images(search):
    rng = np.random.default_rng(4)
    images, replicates_, tests = 2000, 3, 300
    likely = np.clip(rng.beta(0.1, 2, size=(images * 20, 1)) + rng.normal(0, 0.05, size=(images * 20, 2)), 0, 1)
    true, found = [], []
    for _ in range(tests):
        of = likely[rng.integers(len(likely), size=images)]
        # what a search makes of an image is the same for both finals of its winner
        searched = np.clip(
            of[..., None] + search * rng.normal(size=(images, 2, replicates_)) * (of[..., None] > 0.2), 0, 1
        )
        is_wrong = rng.random((images, 2, replicates_, 2)) < searched[..., None]
        wrong = {
            name: {r: [np.flatnonzero(is_wrong[:, at, r, k]) for k in range(2)] for r in range(replicates_)}
            for at, name in enumerate("ab")
        }
        found.append(image_luck(wrong, images))
        true.append(of.mean(axis=0) @ [1, -1])
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(np.std(true), rel=0.1)


def alone(finals):
    """Return the finals as those of replicates with one final each."""
    return {number: [each] for number, each in enumerate(finals)}


def test_the_luck_of_test_images_needs_two_finals_and_two_optimizers():
    assert image_luck({"a": alone([(1,), (2,)])}, 10) is None
    assert image_luck({"a": alone([(1,), (2,)]), "b": alone([(1,)])}, 10) is None
    assert image_luck({"a": alone([(1,), (1,)]), "b": alone([(), ()])}, 10) == pytest.approx(np.sqrt(0.1 / 10))


def test_wrong_images_are_known_only_if_every_final_recorded_them():
    whole = mistakes(2).model_copy(update={"wrong": (0, 1)})
    assert wrong_images({"a": {"1": whole, "2": whole}}) == ({"a": {1: [(0, 1), (0, 1)]}}, 100)
    assert wrong_images({"a": {"1": whole, "2": mistakes(2)}}) is None, "as version 0.1 left it"
    assert wrong_images({}) is None


def test_luck_is_described_in_points():
    said = Luck(seeds=0.001, searches=0.0003, search_low=0.0, search_high=0.002)
    assert said.in_words == (
        "Sources of luck: the accuracy of one final has a standard deviation of 0.100 points from its seed and 0.030 "
        "(0.000 to 0.200) from its search and split."
    )
    assert said.model_copy(update={"splits": False}).in_words.endswith("(0.000 to 0.200) from its search."), (
        "own data"
    )
    with_images = said.model_copy(update={"images": 0.0005}).in_words
    assert with_images.endswith(
        "and split; the difference between two optimizers has one of 0.050 points from the choice of the test set."
    )


@pytest.mark.long
def test_incomplete_replicates_are_not_used():
    table = replicates(np.random.default_rng(2), 1, 4, 0.05)[0] / 100 + 0.98
    finals = {
        name: {1000 * number + seed: value for number, value in enumerate(row) for seed in (1, 2)}
        for name, row in zip(("sgd", "adam", "adagrad", "adadelta", "rmsprop"), table, strict=True)
    }
    three = judged({name: {s: v for s, v in of.items() if s < 3000} for name, of in finals.items()}, replicates=3)
    del finals["adam"][3002]
    cut_off = judged(finals, replicates=4, looks=[3, 4])
    assert cut_off.replicates == 3
    assert [each.difference for each in cut_off.accuracy] == pytest.approx(
        [each.difference for each in three.accuracy]
    )


def test_a_final_that_failed_is_lost():
    finals = {"adam": CALM, "sgd": CALM | {2: None}}
    assert judged(finals).lost == ("sgd",)
    assert set(frame_of(finals)["outcome"]) == {Outcome.COMPLETED, Outcome.DIVERGED}
