"""The benchmarks: each is in their table, runs by its name, and says what is too low or worse than a baseline."""

import json
import pkgutil
import re
import runpy
import sys
from pathlib import Path

import pytest

from experiments import catalog, declared
from harness.config import validated, with_settings
from harness.training.data import load_splits
from harness.training.loop import build, initial_state
from studies.definition import SweepDefinition
from tests import benchmarks, chapter
from tests.benchmarks import default_sweep, known_answers, regret, sweeps, where
from tests.contenders import optuna_plain
from tests.contenders.record import record
from tests.contenders.sweeps import best_finals, finals
from tests.contenders.sweeps import default_sweep as default_sweep_of
from tests.contenders.winners import winners
from tests.training import train_epochs

TABLE = (Path(benchmarks.__file__).parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def run(project, monkeypatch):
    """Return a function that runs the named benchmarks in an empty folder and gives the exit code."""

    def run(*names):
        monkeypatch.setattr(sys, "argv", ["benchmarks", *names])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("tests.benchmarks", run_name="__main__")
        return ended.value.code

    return run


def test_each_benchmark_has_a_line_in_the_table():
    names = {each.name for each in pkgutil.iter_modules(benchmarks.__path__)} - {"__main__"}
    assert set(re.findall(r"^\| `(\w+)` \|", TABLE, re.MULTILINE)) == names


def figures(text):
    """Return the decimal numbers of a text."""
    return set(re.findall(r"(?<![\w.])\d*\.\d+(?![\w.]*\w)", text))


def test_the_figures_of_the_readme_and_of_the_page_on_speed_are_those_of_the_benchmarks():
    root = Path(benchmarks.__file__).parents[2]
    readme, speed = (root.joinpath(name).read_text(encoding="utf-8") for name in ("README.md", "tests/speed.md"))
    of_readme = figures(readme.partition("## How fast")[2].partition("\n## ")[0])
    assert len(of_readme) > 5
    assert of_readme | figures(speed) <= figures(TABLE)


def test_the_readmes_result_is_that_of_the_default_sweeps_file():
    readme = (Path(benchmarks.__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    sweep = declared.describe("optimizers")
    accuracies = re.findall(r"(\d+\.\d)%", readme.partition("What it found there:")[2].partition("\n\n")[0])
    assert len(accuracies) == 3
    assert all(each in sweep.result for each in accuracies)
    rows = dict(re.findall(r"^(\w+) +[12] +(\d+\.\d+)%", readme, re.MULTILINE))
    worst = float(rows.pop("adagrad"))
    others = [float(each) for each in rows.values()]
    assert len(others) == 4
    assert [f"{each:.1f}" for each in (min(others), max(others), worst)] == accuracies
    (minutes,) = re.findall(r"It took ([\d.]+ minutes)", readme)
    assert minutes in sweep.cost


@pytest.mark.slow
def test_a_benchmark_stores_its_figures_with_the_machine_it_ran_on(run, monkeypatch):
    monkeypatch.setattr(where, "IMAGES", 320)
    assert run("where") == 0
    found = json.loads(Path("benchmarks.json").read_text(encoding="utf-8"))["where"]
    assert "cores" in found["machine"]
    for shares in found["measured"].values():
        assert sum(shares.values()) == pytest.approx(1)
        assert all(shares[part] > 0 for part in where.PARTS)
    assert "| convolutions | " in Path("benchmarks.md").read_text(encoding="utf-8")


def test_a_failed_benchmark_does_not_stop_the_next_one_and_ends_with_an_error(run, monkeypatch, capsys):
    def fail():
        """fails"""
        raise AssertionError("too slow")

    ran = []
    monkeypatch.setattr(known_answers, "main", fail)
    monkeypatch.setattr(where, "main", lambda: ran.append("where"))
    assert run("known_answers", "where") == 1
    assert (capsys.readouterr().err, ran) == ("known_answers: too slow\n", ["where"])


@pytest.mark.parametrize(
    ("ratio", "baseline", "problem"),
    [
        (2.0, None, None),
        (2.0, 2.2, None),
        (2.0, 2.3, "ours: 2.00, 2.30 in the baseline"),
        (1.4, None, "ours: 1.40, at least 1.50 must hold"),
    ],
)
def test_a_ratio_below_its_limit_or_well_below_the_baseline_is_an_error(
    project, monkeypatch, ratio, baseline, problem
):
    if baseline:
        Path("before.json").write_text(json.dumps({"speed": {"ratios": {"ours": baseline}}}), encoding="utf-8")
        monkeypatch.setenv("BASELINE", "before.json")
    said = None
    try:
        record("speed", {}, {"ours": ratio}, {"ours": 1.5}, "a table")
    except AssertionError as error:
        said = str(error)
    assert said == problem
    assert json.loads(Path("benchmarks.json").read_text(encoding="utf-8"))["speed"]["ratios"] == {"ours": ratio}


def swept(seconds, configurations=35, best=(0.985, 0.986), other=(0.984, 0.985), busy=0.99, mebibytes=200):
    found = {"adadelta": (0.983, best), "adagrad": (0.982, other)}
    return [
        {
            "seconds": seconds,
            "configurations": configurations,
            "winners": {name: {"validation": each, "finals": list(finals)} for name, (each, finals) in found.items()},
            "busy": busy,
            "worker_bytes": mebibytes * 2**20,
        }
    ]


@pytest.mark.parametrize(
    ("ours", "problem"),
    [
        ({"best": (0.983, 0.987)}, ""),
        ({"configurations": 27}, "fast: 9.00, at least 10.00 must hold"),
        ({"mebibytes": 400}, "a worker takes 400 MiB"),
        ({"best": (0.981, 0.98), "other": (0.99, 0.989)}, "finals of the best winner are worse"),
        ({"other": (0.9, 0.1, 0.9, 0.1, 0.9, 0.1)}, "finals of the winners are worse"),
    ],
)
def test_the_default_sweep_tries_more_than_the_example_in_the_same_time_and_its_winners_are_not_worse(
    run, monkeypatch, capsys, ours, problem
):
    asked = []

    def contend(module, variant, folder, epochs):
        asked.append((module, variant))
        plain = {"configurations": 3, "busy": 0, "mebibytes": 0}
        return swept(82.4, **({"configurations": 120} | ours if module == "our_sweep" else plain))

    monkeypatch.setattr(default_sweep, "contend", contend)
    assert run("default_sweep") == bool(problem)
    assert problem in capsys.readouterr().err
    assert [variant for module, variant in asked if module == "optuna_plain"] == ["82 0", "82 1"]
    assert [variant for _, variant in asked if variant.endswith("fast 2")] == ["0 fast 2", "1 fast 2"]


def test_finals_of_all_winners_with_equal_validation_count_as_the_best():
    def winner(validation, final):
        return {"validation": validation, "finals": [final]}

    first = {"winners": {"sgd": winner(0.98, 0.1), "adam": winner(0.99, 0.2), "adadelta": winner(0.99, 0.3)}}
    second = {"winners": {"sgd": winner(0.985, 0.4), "adam": winner(0.97, 0.5)}}
    assert best_finals([first, second]) == [0.2, 0.3, 0.4]
    assert finals([first, second]) == [0.1, 0.2, 0.3, 0.4, 0.5]


@pytest.mark.parametrize(
    ("ours", "start", "problem"),
    [
        ({}, 3.0, ""),
        ({"seconds": 110}, 3.0, "float32: 1.91, at least 2.00 must hold"),
        ({"busy": 0.97}, 3.0, "tracking, state and coordination take 3.0% of a sweep"),
        ({"mebibytes": 400}, 3.0, "a worker takes 400 MiB"),
        ({}, 4.1, "a worker starts in 4.1 s"),
    ],
)
def test_the_sweeps_benchmark_fails_if_trials_coordination_or_a_workers_start_are_slow(
    run, monkeypatch, capsys, ours, start, problem
):
    def contend(module, variant, folder, epochs):
        if module == "worker":
            return [{"seconds": start, "accuracy": None}, {"seconds": 0.3, "accuracy": None}]
        none = {"best": (), "other": ()}
        return swept(**{"seconds": 80} | none | ours) if module == "our_sweep" else swept(210, **none, mebibytes=0)

    monkeypatch.setattr(sweeps, "contend", contend)
    assert run("sweeps") == bool(problem)
    assert problem in capsys.readouterr().err
    assert f"A first worker can train after {start} s" in Path("benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.long
def test_a_sampler_with_more_regret_than_tpe_is_an_error(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(regret, "SEARCHES", 2)
    good, misleading = (regret.regret("prior", rate, 2) for rate in regret.BEST_RATES.values())
    assert 0 <= good < misleading < 3
    monkeypatch.setattr(regret, "STORED", tmp_path / "regret.json")
    for prior, code in ((0.1, 0), (0.3, 1)):
        monkeypatch.setattr(regret, "regret", lambda sampler, *_, prior=prior: prior if sampler == "prior" else 0.2)
        assert run("regret") == code
    assert "good start, 2 epochs: 0.30 against 0.20" in capsys.readouterr().err


def test_the_table_of_regret_in_the_document_is_that_of_the_stored_figures():
    stored = json.loads(regret.STORED.read_text(encoding="utf-8"))
    searching = Path(__file__).parents[1] / "studies" / "searching.md"
    assert regret.table_of(stored) in searching.read_text(encoding="utf-8")


def test_the_first_round_is_a_replicate_of_make_sweep_and_others_use_other_seeds():
    first, second = (default_sweep_of(seed) for seed in (0, 1))
    assert first == catalog.load_sweep("optimizers").sweep.model_copy(update={"replicates": 1})
    assert first.seed != second.seed
    assert first.base.seed != second.base.seed
    assert not set(first.final_seeds) & set(second.final_seeds)
    validated(SweepDefinition, second.model_dump())  # which refuses finals on the seed of its trials


@pytest.mark.long
def test_the_best_of_each_optimizer_is_trained_again_on_every_fresh_seed(config, data):
    def of(name, rate):
        return with_settings(config, {"optimizer.name": name, "optimizer.lr": rate})

    def final(config, seed):
        config = with_settings(config, {"seed": seed})
        splits = load_splits(config.dataset, config.device, data)
        return train_epochs(config, initial_state(config), splits, 1, ["test"]).metrics[-1].test_accuracy

    tried = [(0.7, of("sgd", 0.5)), (0.9, of("sgd", 0.1)), (0.9, of("sgd", 0.2)), (0.8, of("adam", 0.001))]
    found = winners(tried, (1, 2), 1, data)
    assert {name: each.validation for name, each in found.items()} == {"sgd": 0.9, "adam": 0.8}
    assert found["sgd"].finals == (final(tried[1][1], 1), final(tried[1][1], 2))
    assert found["adam"].finals == (final(tried[3][1], 1), final(tried[3][1], 2))
    assert len({*found["sgd"].finals, *found["adam"].finals}) == 4


def test_a_winners_final_that_diverges_is_as_good_as_chance(config, data):
    diverging = with_settings(config, {"optimizer.name": "sgd", "optimizer.lr": 1e6})
    assert winners([(0.1, diverging)], (1,), 1, data)["sgd"].finals == (0.1,)


@pytest.mark.parametrize("name", optuna_plain.OPTIMIZERS)
def test_configs_of_the_plain_example_keep_its_optimizer_and_dropout(name):
    values = {"optimizer": name, "lr": 0.03, "batch_size": 64, "dropout1": 0.2, "dropout2": 0.4}
    config = optuna_plain.config_of(values)
    theirs = optuna_plain.OPTIMIZERS[name](chapter.ConvNet().parameters(), lr=0.03)
    _, ours, _ = build(config)
    assert type(ours) is type(theirs)
    assert ours.defaults == theirs.defaults
    assert (config.batch_size, config.model.dropout, config.memory_format) == (64, (0.2, 0.4), "contiguous")
