"""A sampler sees all trials of a small study, and the best and the latest of a large one."""

import hashlib
from typing import get_args

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials

from harness.config import RunConfig
from harness.records import Outcome
from studies.definition import SweepDefinition
from studies.search import samplers, sampling
from studies.search.distributions import distribution_of
from studies.search.samplers import SAMPLERS
from studies.search.storage import Journal
from studies.search.study import Search
from studies.space import Choice, Range

EPOCH = 640  # images, as the tests' config has them


@pytest.fixture
def definition(config: RunConfig) -> SweepDefinition:
    return SweepDefinition(
        base=config,
        optimizers=("adam",),
        space={"batch_size": Choice(choices=(32, 64))},
        spaces={"adam": {"optimizer.lr": Range(low=1e-4, high=1e-1, log=True, start=1e-2)}},
        budget=240,
        trial_epochs=4,
        at_once=3,
        final_seeds=(1,),
        final_epochs=1,
    )


def end(trial) -> tuple[Outcome, list[float]]:
    """Return an outcome and accuracies that depend on the trial's number and values."""
    chance = hashlib.sha256(str(trial.number).encode()).digest()
    outcome = [Outcome.COMPLETED, Outcome.PRUNED, Outcome.PRUNED, Outcome.DIVERGED][chance[0] % 4]
    accuracy = 1 - abs(trial.values["optimizer.lr"] - 0.02) + chance[1] / 1000
    return outcome, [accuracy] * (4 if outcome is Outcome.COMPLETED else 1 + chance[2] % 2)


def finish(search: Search) -> list[dict[str, object]]:
    while asked := search.ask():
        for trial in asked:
            outcome, accuracies = end(trial)
            search.tell(trial.number, outcome, accuracies, len(accuracies) * EPOCH)
    return [trial.values for trial in search.trials]


def test_a_small_study_is_sampled_as_optuna_samples_the_whole_study(tmp_path, definition):
    trials = Search(Journal(tmp_path / "journal"), "adam", definition)
    finish(trials)
    study = optuna.create_study(direction="maximize")
    dimensions = definition.searched("adam")
    asked = {}
    for trial in trials.trials:
        if trial.number == 0:
            study.enqueue_trial({"optimizer.lr": 1e-2})
        for number in [number for number in asked if trials.trials[number].round < trial.round]:
            outcome, accuracies = end(trials.trials[number])
            if outcome is not Outcome.DIVERGED:
                for epoch, accuracy in enumerate(accuracies, 1):
                    asked[number].report(accuracy, epoch)
            state = None if outcome is Outcome.COMPLETED else optuna.trial.TrialState.PRUNED
            study.tell(asked.pop(number), None if state else accuracies[-1], state)
        seed = int.from_bytes(hashlib.sha256(f"0 adam {trial.number}".encode()).digest()[:4], "big")
        study.sampler = TPESampler(n_startup_trials=samplers.STARTUP_TRIALS, seed=seed)
        asked[trial.number] = study.ask({key: distribution_of(each) for key, each in dimensions.items()})
        assert asked[trial.number].params == trial.values
    assert len(trials.trials) > 90


@pytest.mark.slow
def test_a_large_study_asks_the_same_trials_after_any_stop(tmp_path, definition, monkeypatch):
    whole = finish(Search(Journal(tmp_path / "whole"), "adam", definition))
    monkeypatch.setattr(sampling, "LATEST", 20)
    monkeypatch.setattr(sampling, "STEP", 10)
    alone = finish(Search(Journal(tmp_path / "alone"), "adam", definition))
    assert alone[:30] == whole[:30]
    assert alone != whole
    count = 0
    while True:  # a process for every trial
        search = Search(Journal(tmp_path / "disturbed"), "adam", definition)
        asked = search.ask()
        if not asked:
            break
        outcome, accuracies = end(asked[0])
        search.tell(asked[0].number, outcome, accuracies, len(accuracies) * EPOCH)
        count += 1
    assert [trial.values for trial in search.trials] == alone
    assert count == len(alone)


@pytest.mark.long
@pytest.mark.parametrize("completed", [True, False])
def test_the_best_trials_of_a_large_study_are_those_of_tpe_over_the_whole(tmp_path, definition, completed):
    storage = Journal(tmp_path / "journal")
    search = Search(storage, "adam", definition.model_copy(update={"budget": 1200}))
    for _ in range(100):
        for trial in search.ask():
            outcome, accuracies = end(trial)
            if outcome is Outcome.COMPLETED and not completed and trial.number % 40:
                outcome, accuracies = Outcome.PRUNED, accuracies[:2]
            search.tell(trial.number, outcome, accuracies, len(accuracies) * EPOCH)
    study = optuna.load_study(study_name="adam", storage=storage)
    good, _ = _split_trials(study, study.trials, sampling.BEST)
    seen = [*sampling.best_trials(study.trials[:150]), *study.trials[150:]]
    assert _split_trials(study, seen, sampling.BEST)[0] == good
    assert any(trial.number < 150 for trial in good)
    assert any(trial.number >= 150 for trial in good)


def test_each_sampler_of_a_definition_has_a_row():
    assert set(SAMPLERS) == set(get_args(SweepDefinition.model_fields["sampler"].annotation))
