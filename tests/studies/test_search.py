"""A study asks the same trials after the same history, within its budget, with any sampler."""

import itertools
import math

import optuna
import pytest

from harness.config import RunConfig
from harness.records import Outcome
from studies.definition import SweepDefinition
from studies.search.storage import Journal
from studies.search.study import Search
from studies.space import Choice, Range

EPOCH = 640  # images, as the tests' config has them


@pytest.fixture
def definition(config: RunConfig) -> SweepDefinition:
    return SweepDefinition(
        base=config,
        optimizers=("adam",),
        space={"batch_size": Choice(choices=(32, 64), start=32)},
        spaces={
            "adam": {
                "optimizer.lr": Range(low=1e-4, high=1e-1, log=True, start=1e-2, points=3),
                "optimizer.betas.0": Range(low=0.02, high=0.5, complement=True, start=0.9, from_trials=10),
            }
        },
        budget=24,
        trial_epochs=3,
        final_seeds=(1,),
        final_epochs=1,
    )


@pytest.fixture
def opened(tmp_path, definition):
    def search(name: str = "study", **changes) -> Search:
        return Search(Journal(tmp_path / name), "adam", definition.model_copy(update=changes))

    return search


def finish(search: Search) -> list[dict[str, object]]:
    """Run every trial to its end, with an accuracy that is a function of its values."""
    while asked := search.ask():
        for trial in asked:
            accuracy = 1 - abs(trial.values["optimizer.lr"] - 0.02)
            search.tell(trial.number, Outcome.COMPLETED, [accuracy] * trial.limit, trial.limit * EPOCH)
    return [trial.values for trial in search.trials]


@pytest.mark.parametrize("sampler", ["tpe", "random", "sobol"])
@pytest.mark.parametrize("at_once", [1, 3])
def test_the_same_history_gives_the_same_trials_in_any_process(opened, sampler, at_once):
    changes = {"sampler": sampler, "at_once": at_once}
    alone = finish(opened(**changes))
    assert len(alone) == 8
    assert alone[0] == {"optimizer.lr": 1e-2, "batch_size": 32}
    for _ in range(3):  # a process that asked, told one, and died
        trial = opened("disturbed", **changes).ask()[0]
        accuracy = 1 - abs(trial.values["optimizer.lr"] - 0.02)
        opened("disturbed", **changes).tell(
            trial.number, Outcome.COMPLETED, [accuracy] * trial.limit, trial.limit * EPOCH
        )
    assert finish(opened("disturbed", **changes)) == alone


@pytest.mark.parametrize(("budget", "first"), [(3, 1), (6, 8), (9, 8)])
def test_the_first_round_is_as_large_as_the_budget_with_halving_allows(opened, budget, first):
    halving = {"trial_epochs": 3, "rungs": (0.375, 0.75), "reduction_factor": 4, "at_once": 8, "budget": budget}
    search = opened(**halving)
    assert len(search.ask()) == first
    for number in range(first):
        search.tell(number, Outcome.PRUNED, [0.5], 0)
    assert len(search.ask()) == budget // 3, "later all of a round may be better than those of before"


def test_an_interrupted_first_round_is_resumed(opened):
    halving = {"trial_epochs": 3, "rungs": (0.375, 0.75), "reduction_factor": 4, "at_once": 8, "budget": 6}
    search = opened(**halving)
    asked = search.ask()
    search.tell(0, Outcome.PRUNED, [0.5], EPOCH)
    assert opened(**halving).ask() == asked[1:]


def test_a_journal_cut_off_anywhere_leads_to_the_same_trials(opened, tmp_path):
    changes = {"at_once": 3, "budget": 15}
    alone = finish(opened(**changes))
    whole = (tmp_path / "study").read_bytes()
    for end in range(0, len(whole), len(whole) // 25):
        (tmp_path / "cut").write_bytes(whole[:end])
        assert finish(opened("cut", **changes)) == alone, end


def test_a_study_opened_from_its_journal_equals_the_one_in_memory(opened):
    outcomes = itertools.cycle([*Outcome, None])
    search = opened(at_once=3, budget=40)
    for _ in range(12):
        for trial, outcome in zip(search.ask(), outcomes, strict=False):
            if outcome:
                search.tell(trial.number, outcome, [0.5, trial.number / 100], 2 * EPOCH)
        again = opened(at_once=3, budget=40)
        for name in ("trials", "spent", "best"):
            assert getattr(again, name) == getattr(search, name)
        search = again
    assert search.ask() == []


@pytest.mark.parametrize("torn", [b'{"op_code', b"\x00\x00", b'{"op_code": 4, "worker_id": "x"'])
def test_a_torn_last_line_of_the_journal_is_dropped(opened, tmp_path, torn):
    alone = finish(opened())
    opened("torn").ask()
    with (tmp_path / "torn").open("ab") as journal:
        journal.write(torn)
    assert finish(opened("torn")) == alone


def test_a_grid_is_searched_whole_point_by_point(opened):
    found = finish(opened(sampler="grid", pruning=False, budget=18))
    assert [(round(each["optimizer.lr"], 5), each["batch_size"]) for each in found] == [
        (lr, size) for lr in (0.0001, 0.00316, 0.1) for size in (32, 64)
    ]


def test_sobol_spreads_more_evenly_than_chance(opened):
    finish(opened(sampler="sobol", budget=51))
    rates = [trial.values["optimizer.lr"] for trial in opened(sampler="sobol", budget=51).trials][1:]
    octiles = {int((math.log10(rate) + 4) / 3 * 8) for rate in rates}
    assert octiles == set(range(8))


def test_the_space_grows_with_the_budget(opened):
    assert all("optimizer.betas.0" not in values for values in finish(opened(budget=27)))
    more = opened(budget=30)
    last = finish(more)[-1]
    assert 0.5 <= last["optimizer.betas.0"] <= 0.98
    assert more.epochs_spent == 30


def test_the_last_trial_gets_what_is_left_of_the_budget(opened):
    search = opened(budget=10)
    (first,) = search.ask()
    assert first.limit == 3
    search.tell(first.number, Outcome.PRUNED, [0.5], 1 * EPOCH)
    for _ in range(3):
        (trial,) = search.ask()
        search.tell(trial.number, Outcome.COMPLETED, [0.6] * trial.limit, trial.limit * EPOCH)
    assert (trial.limit, search.epochs_spent, search.ask()) == (3, 10, [])
    more = opened(budget=12)
    (last,) = more.ask()
    assert last.limit == 2


def test_diverged_and_failed_trials_rank_below_pruned_ones_and_are_never_best(opened, tmp_path):
    search = opened()
    for outcome, accuracies in (
        (Outcome.DIVERGED, [0.99]),
        (Outcome.FAILED, [0.98]),
        (Outcome.PRUNED, [0.9]),
        (Outcome.COMPLETED, [0.3, 0.4, 0.5]),
    ):
        (trial,) = search.ask()
        search.tell(trial.number, outcome, accuracies, len(accuracies) * EPOCH)
    assert search.best == (trial.values, 0.5)
    assert [each.outcome for each in search.trials] == ["diverged", "failed", "pruned", "completed"]
    study = optuna.load_study(study_name="adam", storage=Journal(tmp_path / "study"))
    assert [each.value for each in study.trials] == [None, None, 0.9, 0.5]


def test_an_asynchronous_study_resumes_in_another_process_within_the_budget(opened):
    search = opened(budget=9, asynchronous=True)
    asked = [search.ask_another() for _ in range(3)]
    search.tell(2, Outcome.PRUNED, [0.5], 1 * EPOCH)
    again = opened(budget=9, asynchronous=True)
    assert again.ask() == asked[:2]
    for trial in asked[:2]:
        again.tell(trial.number, Outcome.COMPLETED, [0.5] * 3, 3 * EPOCH)
    (last,) = again.ask()
    assert (last.number, last.limit) == (3, 2)


def test_another_trial_is_asked_only_while_the_budget_has_room_for_all(opened):
    search = opened(budget=7)
    asked = [search.ask_another() for _ in range(3)]
    assert [each and each.limit for each in asked] == [3, 3, None]
    search.tell(0, Outcome.PRUNED, [0.5], 1 * EPOCH)
    assert search.ask_another().limit == 3
    assert search.ask_another() is None
    search.tell(1, Outcome.COMPLETED, [0.5] * 3, 3 * EPOCH)
    search.tell(2, Outcome.PRUNED, [0.5] * 2, 2 * EPOCH)
    assert search.ask_another().limit == 1
