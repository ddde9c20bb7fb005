"""Replicates repeat the search with own seeds, winners are confirmed, and looks decide who trains more finals."""

import contextlib
import json
import math
import random
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness.config import OwnDatasetConfig, config_hash, validated
from harness.errors import BadInputError, SweepStopped
from harness.records import DEFINITION_ARTIFACT
from studies.beginning import grown
from studies.definition import FINALS_RISK, SweepDefinition
from studies.executors.pool import WorkerPool
from studies.intervals import games_howell
from studies.progress import SweepObserver
from studies.replicates import (
    confirming,
    confirming_seeds,
    is_published_start,
    of_replicate,
    published_start,
    to_confirm,
    winner_of,
)
from studies.space import Choice, Range
from studies.sweep import run_sweep
from tests.benchmarks.scale import NullWorkers
from tests.memory_tracker import MemoryTracker
from tests.simulated import better, finals, of_pairs

pytestmark = pytest.mark.usefixtures("data")
CHANCE = "tests.benchmarks.scale.chance"


@pytest.fixture
def several(definition):
    """Return a definition with three replicates of two finals, and finals of the published start."""
    space = {"model.dropout": Range(low=0, high=0.5, start=0.1)}
    return changed(definition, space=space, replicates=3, start_finals=True)


def changed(definition, **changes):
    return validated(SweepDefinition, definition.model_dump() | changes)


def luck(config, step):
    """Return an accuracy from .7 to .9 that depends on the seed and is best at a learning rate of .03."""
    rate = config.optimizer.lr
    noise = random.Random(f"{config_hash(config)} {step}").random()
    return 0.9 - 0.1 * abs(rate - 0.03) / 0.1 - 0.02 * noise


def swept(definition, tracker=None, workers=1, observer=None, stop=None, monkeypatch=None, chance=luck):
    if monkeypatch is not None:
        monkeypatch.setattr(CHANCE, chance)
    tracker = tracker or MemoryTracker()
    with NullWorkers(workers) as pool:
        result = run_sweep("several", definition, tracker, WorkerPool(pool, workers, Path("data")), observer, stop)
    return result, tracker


def runs_of(tracker, stage):
    return [run for run in tracker.runs.values() if run.tags["harness.stage"] == stage]


def results_of(tracker):
    """Return the results of each run, without its id."""
    return sorted(
        (run.tags["harness.stage"], run.tags["harness.optimizer"], run.tags["harness.config_hash"], run.outcome)
        for run in tracker.runs.values()
        if "harness.optimizer" in run.tags
    )


def test_a_replicate_has_another_search_seeds_and_split(definition):
    second = of_replicate(definition, 1)
    assert of_replicate(definition, 0) == definition
    assert (second.seed, second.base.seed, second.final_seeds) == (1000, definition.base.seed + 1000, (1001, 1002))
    assert second.base.dataset.split_seed == definition.base.dataset.split_seed + 1000


def test_own_data_keep_their_split_which_decides_their_test_set(definition):
    data = OwnDatasetConfig(name="tests.own.shapes:bars", train_size=64, validation_size=16, test_size=16)
    own = definition.model_copy(update={"base": definition.base.model_copy(update={"dataset": data})})
    assert of_replicate(own, 2).base.dataset == data


def test_seeds_that_overlap_those_of_another_replicate_are_refused(several):
    with pytest.raises(BadInputError, match="less than 1000"):
        changed(several, final_seeds=(1, 1001))


def test_all_replicates_search_and_train_their_finals(several, monkeypatch):
    result, tracker = swept(several, monkeypatch=monkeypatch)
    finals = runs_of(tracker, "final")
    assert Counter(run.tags["harness.replicate"] for run in finals) == dict.fromkeys("123", 4)
    seeds = {
        number: {run.params["seed"] for run in finals if run.tags["harness.replicate"] == number} for number in "123"
    }
    assert seeds == {"1": {1, 2}, "2": {1001, 1002}, "3": {2001, 2002}}
    for name, each in result.optimizers.items():
        trials = [run for run in runs_of(tracker, "trial") if run.tags["harness.optimizer"] == name]
        assert each.trials == len(trials)
        assert (each.epochs_spent, len(each.finals)) == (3 * several.budget, 6)
        rates = {run.params["optimizer.lr"] for run in trials if run.tags["harness.number"] != "0"}
        assert len(rates) == len([run for run in trials if run.tags["harness.number"] != "0"]), "each drew its own"


def test_the_published_start_trains_finals_in_each_search_it_did_not_win(several, monkeypatch):
    _, tracker = swept(several, monkeypatch=monkeypatch)
    start = published_start(several, "adam")
    assert start == {"model.dropout": 0.1, "optimizer.lr": 0.01}
    won = {
        (run.tags["harness.optimizer"], run.tags["harness.number"])
        for run in runs_of(tracker, "final")
        if {key: run.params[key] for key in start} == start
    }
    starts = runs_of(tracker, "start")
    trained = {(run.tags["harness.optimizer"], run.tags["harness.number"]) for run in starts}
    assert all({key: run.params[key] for key in start} == start for run in starts)
    assert not won & trained
    assert len(won | trained) == 2 * 6
    assert starts, "some search found something better"


def test_settings_are_the_published_start_if_all_searched_values_equal_it(several):
    start = published_start(several, "adam")
    assert is_published_start(several, "adam", start | {"epochs": 7})
    assert not is_published_start(several, "adam", start | {"model.dropout": 0.2})
    assert not is_published_start(several, "adam", {})
    nothing_searched = several.model_copy(update={"space": {}, "spaces": {"sgd": {}, "adam": {}}})
    assert not is_published_start(nothing_searched, "adam", {"epochs": 7})


def test_without_a_published_start_none_is_trained(definition, monkeypatch):
    without = changed(definition, start_finals=True)
    assert published_start(without, "adam") is None
    _, tracker = swept(without, monkeypatch=monkeypatch)
    assert not runs_of(tracker, "start")


class StopAfter(SweepObserver):
    def __init__(self, slices):
        self.left, self.stop = slices, threading.Event()

    def trained(self, job, result):
        self.left -= 1
        if self.left == 0:
            self.stop.set()


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("slices", [7, 23])
def test_interruptions_and_workers_change_no_result(several, monkeypatch, slices, workers):
    whole = changed(several, budget=16, confirm=True, final_seeds=(1, 2))
    _, undisturbed = swept(whole, monkeypatch=monkeypatch)
    tracker, stops, watch = MemoryTracker(), 0, StopAfter(0)
    while watch.left <= 0:
        watch = StopAfter(slices)
        with contextlib.suppress(SweepStopped):
            swept(whole, tracker, workers, watch, watch.stop)
        stops += watch.left <= 0
    assert stops > 3
    assert results_of(tracker) == results_of(undisturbed)


def test_looks_that_are_added_later_at_most_double_the_risk_of_a_false_claim(several):
    declared = changed(several, replicates=5, looks=(3, 5))
    assert [declared.level_at(look) for look in (3, 5)] == pytest.approx([0.975, 0.975])
    assert declared.confidence == 0.95
    sweep, looks = several, (3, 5, 8, 20)
    for replicates in (*looks[1:], 4, looks[-1]):
        sweep = grown(sweep, changed(several, replicates=replicates))
    assert (sweep.looks, sweep.added_looks) == (looks, 3), "fewer and the same add none"
    risks = [1 - sweep.level_at(look) for look in looks]
    assert risks == pytest.approx([0.05, 0.025, 0.0125, 0.00625]), "the first verdicts stay as they were"
    assert sum(risks) <= 1 - sweep.confidence == pytest.approx(0.1)
    until = grown(several, changed(several, replicates=16, looks=(4, 8, 16)))
    assert (until.looks, until.added_looks) == ((3, 4, 8, 16), 3)
    late = grown(changed(several, replicates=4), changed(several, replicates=12, looks=(3, 6, 12)))
    assert (late.looks, late.added_looks) == ((4, 6, 12), 2), "no look is added before one that has been taken"


@pytest.mark.long
def test_finals_of_one_search_use_a_part_of_the_risk_only(definition):
    eight = changed(definition, final_seeds=tuple(range(1, 9)))
    assert 1 - eight.level_at(8) == pytest.approx(0.05 * FINALS_RISK)
    looks = changed(eight, looks=(4, 8))
    assert [1 - looks.level_at(each) for each in (4, 8)] == pytest.approx([0.025 * FINALS_RISK] * 2)
    # skewed, with unequal variances, and with nothing in common on a seed
    equal = finals(np.random.default_rng(8), 20_000, 8, shared=0)

    def false(level):
        of = games_howell(equal.mean(axis=2), equal.var(axis=2, ddof=1), np.full(equal.shape[:2], 8.0), level)
        return of_pairs(better(of)).any(axis=-1).mean()

    assert false(eight.level_at(8)) <= 0.05 < false(0.95)


@pytest.mark.long
def test_a_sweep_that_ended_and_grew_records_its_added_look_once(several, monkeypatch):
    three = changed(several, start_finals=False, margin=0.001)  # undecided
    first, tracker = swept(three, monkeypatch=monkeypatch)

    def recorded():
        stored = json.loads(tracker.runs[first.sweep_id].artifacts[DEFINITION_ARTIFACT])
        return stored["replicates"], stored.get("looks"), stored.get("added_looks", 0)

    assert recorded() == (3, None, 0)
    for replicates in (4, 4, 3):
        again, _ = swept(changed(three, replicates=replicates), tracker)
        assert (again.sweep_id, recorded()) == (first.sweep_id, (4, [3, 4], 1))
    with_five, _ = swept(changed(three, replicates=5), tracker)
    assert (with_five.sweep_id, recorded()) == (first.sweep_id, (5, [3, 4, 5], 2))


@pytest.mark.parametrize(("before", "now"), [({"replicates": 1}, {}), ({"replicates": 2}, {"replicates": 5})])
def test_a_sweep_that_grows_before_it_had_verdicts_of_that_kind_keeps_its_level(several, before, now):
    sweep = grown(changed(several, **before), changed(several, **now))
    assert (sweep.looks_at, sweep.added_looks) == ((sweep.replicates,), 0)
    assert (sweep.level_at(sweep.replicates), sweep.confidence) == (0.95, 0.95)


@pytest.mark.parametrize(("stop_after", "expected"), [(1, (0, 0.95)), (None, (1, 0.9))])
def test_more_finals_keep_the_level_only_if_none_has_begun(definition, monkeypatch, stop_after, expected):
    three, tracker = changed(definition, final_seeds=(1, 2, 3)), MemoryTracker()
    watch = StopAfter(stop_after or -1)
    with contextlib.suppress(SweepStopped):
        swept(three, tracker, observer=watch, stop=watch.stop, monkeypatch=monkeypatch)
    assert bool(runs_of(tracker, "final")) == (stop_after is None)
    eight, _ = swept(changed(three, final_seeds=tuple(range(1, 9))), tracker)
    stored = SweepDefinition.model_validate_json(tracker.runs[eight.sweep_id].artifacts[DEFINITION_ARTIFACT])
    assert (stored.added_looks, stored.confidence, stored.looks_at[-1]) == (*expected, 8)


def test_the_number_of_replicates_may_have_been_chosen_by_what_a_search_validated(several):
    sweep = grown(several, changed(several, replicates=5), measured=False)
    assert (sweep.looks, sweep.added_looks) == ((3, 5), 1)


@pytest.mark.long
def test_more_replicates_are_added_to_a_sweep_that_ended(several, monkeypatch):
    one, three = changed(several, replicates=1), several
    first, tracker = swept(one, monkeypatch=monkeypatch)
    then = set(tracker.runs)
    more, _ = swept(three, tracker)
    assert more.sweep_id == first.sweep_id
    _, anew = swept(three)
    assert results_of(tracker) == results_of(anew)
    assert then <= set(tracker.runs)
    fewer, _ = swept(changed(several, replicates=2), tracker)
    assert (fewer, len(tracker.runs)) == (more, len(anew.runs)), "fewer change nothing"


def test_winners_are_confirmed_on_more_seeds_paid_from_the_budget(definition, monkeypatch):
    confirmed = changed(definition, budget=16, confirm=True)
    assert confirming(confirmed) == ((2, 1),)
    result, tracker = swept(confirmed, monkeypatch=monkeypatch)
    for name, each in result.optimizers.items():
        again = [run for run in runs_of(tracker, "confirmation") if run.tags["harness.optimizer"] == name]
        assert {run.params["seed"] for run in again} == {901}
        assert len(again) == 2
        assert {each.use for run in again for each in run.inputs} == {"training", "validation"}
        assert each.epochs_spent <= confirmed.budget
        trials = {
            run.tags["harness.number"]: run
            for run in runs_of(tracker, "trial")
            if run.tags["harness.optimizer"] == name and run.outcome == "completed"
        }

        def validation(run):
            return run.history[2]["validation/accuracy"]

        best = sorted(trials.values(), key=validation, reverse=True)[:2]
        assert {run.tags["harness.number"] for run in again} == {run.tags["harness.number"] for run in best}
        means = {
            run.tags["harness.number"]: (validation(run) + validation(trials[run.tags["harness.number"]])) / 2
            for run in again
        }
        winner = trials[max(means, key=means.__getitem__)]
        assert each.best["optimizer.lr"] == winner.params["optimizer.lr"]


def test_confirmation_takes_more_rounds_with_a_larger_budget(definition):
    many = changed(definition, budget=80, confirm=True)
    assert confirming(many) == ((4, 1), (2, 2))
    assert confirming_seeds(many) == [(901,), (902, 903)]
    assert confirming_seeds(changed(many, final_seeds=(902,))) == [(901,), (903, 904)]
    assert confirming_seeds(of_replicate(many, 1)) == [(1901,), (1902, 1903)]
    accuracies = {0: 0.90, 1: 0.95, 2: 0.94, 3: 0.93, 4: 0.92}
    assert to_confirm(many, accuracies, {}) == [[1, 2, 3, 4]]
    once = {1: [0.80], 2: [0.94], 3: [0.0], 4: [0.96]}
    assert to_confirm(many, accuracies, once) == [[1, 2, 3, 4], [2, 4]], "2 and 4 are equal, a diverged run counts 0"
    assert winner_of(many, accuracies, once) == (2, pytest.approx(0.94)), "the earlier of equal ones"
    all_of_them = once | {2: [0.94, 0.90, 0.90], 4: [0.96, 0.93, 0.91]}
    assert winner_of(many, accuracies, all_of_them) == (4, pytest.approx(0.93))
    assert winner_of(changed(many, confirm=False), accuracies, {}) == (1, 0.95)
    assert winner_of(many, {}, {}) is None


def test_of_trials_whose_exact_means_are_equal_the_earlier_one_wins(definition):
    once = changed(definition, budget=16, confirm=True)
    assert winner_of(once, {4: 0.94, 5: 0.96}, {4: [0.95], 5: [0.93]}) == (4, pytest.approx(0.945))
    images = 10_240  # the means are k / 20,480, of which many lie between two decimals however many are kept
    for right in range(9_000, 9_400):
        accuracies = {4: right / images, 5: (right + 7) / images}
        confirmed = {4: [(right + 8) / images], 5: [(right + 1) / images]}
        assert winner_of(once, accuracies, confirmed)[0] == 4
        assert winner_of(once, accuracies, confirmed | {5: [(right + 2) / images]})[0] == 5, "by a single image"


def test_only_undecided_optimizers_train_until_the_next_look(definition, monkeypatch):
    def chance(config, step):
        spread = {"sgd": 0.0005, "adam": 0.1}[config.optimizer.name]
        worse = 0.05 if config.optimizer.lr == 1e-2 else 0.0  # the published start wins no search
        return 0.8 - worse + spread * (random.Random(config.seed).random() - 0.5)

    space = {"model.dropout": Range(low=0, high=0.5, start=0.1)}
    looks = changed(definition, final_seeds=tuple(range(1, 9)), looks=(4, 8), space=space, start_finals=True)
    result, tracker = swept(looks, monkeypatch=monkeypatch, chance=chance)
    assert {name: len(each.finals) for name, each in result.optimizers.items()} == {"sgd": 4, "adam": 8}
    starts = Counter(run.tags["harness.optimizer"] for run in runs_of(tracker, "start"))
    assert starts == {"sgd": 4, "adam": 8}, "on the seeds of the finals"
    more, _ = swept(changed(looks, final_seeds=tuple(range(1, 13)), looks=None), tracker)
    assert {name: len(each.finals) for name, each in more.optimizers.items()} == {"sgd": 4, "adam": 12}
    fewer, _ = swept(changed(looks, final_seeds=(1, 2, 3), looks=None), tracker)
    assert fewer == more


@pytest.mark.long
def test_replicates_end_at_the_look_that_decides_all(several, monkeypatch):
    apart = changed(several, replicates=6, looks=(3, 6), margin=50)
    _, tracker = swept(apart, monkeypatch=monkeypatch)
    assert {run.tags["harness.replicate"] for run in runs_of(tracker, "final")} == set("123")


@pytest.mark.parametrize(
    "looks", [(8, 4), (2, 8), (4,), (4, 16)], ids=["falling", "too few", "not to the end", "beyond it"]
)
def test_invalid_looks_are_refused(definition, looks):
    with pytest.raises(BadInputError, match="looks"):
        changed(definition, final_seeds=tuple(range(1, 9)), looks=looks)


@pytest.mark.long
def test_proposals_are_near_the_start_near_the_best_and_in_the_whole_range(definition, monkeypatch):
    wide = {"optimizer.lr": Range(low=1e-6, high=1.0, log=True, start=1e-2)}
    space = {"batch_size": Choice(choices=(16, 32, 64), start=32)}
    prior = changed(
        definition,
        sampler="prior",
        budget=122,
        trial_epochs=1,
        pruning=False,
        space=space,
        spaces={"sgd": wide, "adam": wide},
    )
    best = 1e-5

    def chance(config, step):
        return 0.9 - 0.05 * abs(math.log10(config.optimizer.lr / best))

    _, tracker = swept(prior, monkeypatch=monkeypatch, chance=chance)
    trials = [run for run in runs_of(tracker, "trial") if run.tags["harness.optimizer"] == "sgd"]
    trials.sort(key=lambda run: int(run.tags["harness.number"]))
    assert (trials[0].params["optimizer.lr"], trials[0].params["batch_size"]) == (1e-2, 32)
    rates = [run.params["optimizer.lr"] for run in trials[1:]]

    def share(rates, low, high):
        return sum(low < rate < high for rate in rates) / len(rates)

    assert share(rates[0::3], 1e-4, 1) >= 0.9, "near the start"
    assert 0.55 < share(rates[1::3], 1e-4, 1) < 0.8, "of the whole range, two thirds of which are near the start"
    assert share(rates[32::3], 1e-6, 1e-3) >= 0.9, "near the best, once a trial has found it"
    stays = [run.params["batch_size"] == 32 for run in trials[1::3]]
    assert 0.5 < sum(stays) / len(stays) < 0.85
