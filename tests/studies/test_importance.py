"""Importances find the dimension that decides a simulated study, and are empty with too few trials."""

import json
import math
import random

import optuna
import pytest
from optuna.trial import TrialState

from harness.records import IMPORTANCES_ARTIFACT
from studies.executors.pool import WorkerPool
from studies.search.distributions import distribution_of
from studies.search.importance import importances
from studies.space import Choice, Range
from studies.sweep import run_sweep
from tests.benchmarks.scale import NullWorkers
from tests.memory_tracker import MemoryTracker

SPACE = {
    "optimizer.lr": Range(low=1e-4, high=1e-1, log=True),
    "optimizer.betas.0": Range(low=1e-3, high=0.5, log=True, complement=True),
    "batch_size": Choice(choices=(16, 32, 64)),
}
PLANTED = {
    "optimizer.lr": lambda config: -abs(math.log10(config["optimizer.lr"]) + 2),
    "optimizer.betas.0": lambda config: -abs(math.log10(1 - config["optimizer.betas.0"]) + 2),
    "batch_size": lambda config: -config["batch_size"] / 64,
}


def study_of(accuracy, trials: int, noise: float = 0.01, seed: int = 0) -> optuna.Study:
    """Return a study with random trials of `SPACE` whose accuracy is a function of the config's values."""
    rng = random.Random(seed)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed), direction="maximize")
    for _ in range(trials):
        trial = study.ask({each.parameter(key): distribution_of(each) for key, each in SPACE.items()})
        config = {key: each.value(trial.params[each.parameter(key)]) for key, each in SPACE.items()}
        study.tell(trial, accuracy(config) + rng.gauss(0, noise))
    return study


@pytest.mark.parametrize("planted", PLANTED)
def test_the_one_dimension_that_matters_has_nearly_all_of_the_importance(planted):
    found = importances(study_of(PLANTED[planted], trials=400), SPACE)
    assert found.keys() == SPACE.keys()
    assert sum(found.values()) == pytest.approx(1)
    assert found[planted] > 0.8


def test_the_same_trials_have_the_same_importances():
    first, second = (importances(study_of(PLANTED["batch_size"], trials=40), SPACE) for _ in range(2))
    assert list(first.items()) == list(second.items())


def test_too_few_trials_have_no_importances():
    assert importances(study_of(PLANTED["batch_size"], trials=9), SPACE) == {}
    assert importances(study_of(PLANTED["batch_size"], trials=10), SPACE) != {}


def test_equal_trials_have_no_importances():
    assert importances(study_of(lambda _: 0.5, trials=20, noise=0), SPACE) == {}


def test_incomplete_trials_do_not_change_importances():
    study = study_of(PLANTED["optimizer.lr"], trials=30)
    alone = importances(study, SPACE)
    for _ in range(30):
        trial = study.ask({each.parameter(key): distribution_of(each) for key, each in SPACE.items()})
        trial.report(1.0, step=1)
        study.tell(trial, state=TrialState.PRUNED)
    assert importances(study, SPACE) == alone


def test_a_dimension_that_few_trials_have_is_no_error():
    """This happens if a raised budget adds a dimension to the search."""
    study = study_of(PLANTED["optimizer.lr"], trials=100)
    one_more = SPACE | {"model.dropout": Range(low=0, high=0.5)}
    trial = study.ask({each.parameter(key): distribution_of(each) for key, each in one_more.items()})
    study.tell(trial, 0.0)
    found = importances(study, one_more)
    assert max(found, key=found.__getitem__) == "optimizer.lr"
    assert found["model.dropout"] == 0


@pytest.mark.long
def test_a_sweep_logs_importances_by_config_key_for_optimizers_with_enough_trials(definition, project):
    decay = Range(low=1e-3, high=0.5, log=True, complement=True)
    spaces = {"sgd": definition.spaces["sgd"], "adam": {"optimizer.betas.0": decay}}
    definition = definition.model_copy(update={"spaces": spaces, "budget": 40, "pruning": False})
    tracker = MemoryTracker()
    with NullWorkers(2) as workers:
        sweep_id = run_sweep("null", definition, tracker, WorkerPool(workers, 2)).sweep_id
        few = run_sweep("few", definition.model_copy(update={"budget": 18}), tracker, WorkerPool(workers, 2)).sweep_id
    found = json.loads(tracker.runs[sweep_id].artifacts[IMPORTANCES_ARTIFACT])
    assert {name: set(shares) for name, shares in found.items()} == {
        "sgd": {"model.dropout", "optimizer.lr"},
        "adam": {"model.dropout", "optimizer.betas.0"},
    }
    assert [sum(shares.values()) for shares in found.values()] == pytest.approx([1, 1])
    assert json.loads(tracker.runs[few].artifacts[IMPORTANCES_ARTIFACT]) == {}
