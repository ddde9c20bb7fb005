"""A sweep's studies open in Optuna's own tools: the dashboard, the figures, the data frame."""

import json
import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import optuna
import pytest
from optuna import visualization
from playwright.sync_api import expect

from harness.records import Tag
from harness.tracking.buffered import Outbox
from studies.executors.pool import WorkerPool
from studies.sweep import run_sweep
from tests import tiny
from tests.benchmarks.scale import NullWorkers
from tests.browser import PATIENCE, installed_browser, launched, open_page
from tests.memory_tracker import MemoryTracker
from tests.servers import optuna_dashboard

GUIDE = Path(__file__).parents[2] / "studies" / "searching.md"
(RECIPE,) = re.findall(r"```python\n(import optuna\n.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
METRIC = "validation/accuracy"


@dataclass(frozen=True)
class Finished:
    """Return the id of a completed sweep, in its folder."""

    folder: Path
    sweep_id: str
    tracker: MemoryTracker

    @property
    def journal(self) -> Path:
        return Path(".harness", "sweeps", self.sweep_id, "optuna.journal")


def started_and_answered(outbox, *run, start_run=Outbox.start_run):
    """Start a run and wait until the store has its id, since simulated trials end before it answers."""
    own = start_run(outbox, *run)
    assert outbox.latest_sequence() == 1, "a read waits for what was written"
    return own


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder, tracker = tmp_path_factory.mktemp("optuna"), MemoryTracker()
    with pytest.MonkeyPatch.context() as patch, NullWorkers(1) as workers:
        patch.chdir(folder)
        patch.setattr(Outbox, "start_run", started_and_answered)
        definition = tiny.definition().model_copy(update={"budget": 40})
        yield Finished(folder, run_sweep("tiny", definition, tracker, WorkerPool(workers, 1)).sweep_id, tracker)


@pytest.fixture(scope="module")
def recipe(sweep):
    """Return the variables of the example in `searching.md`, run on Adam's study."""
    names = {}
    exec(RECIPE.replace("SWEEP", sweep.sweep_id), names)
    return names


@pytest.fixture(scope="module")
def study(recipe):
    return recipe["study"]


@pytest.fixture(scope="module")
def dashboard(sweep):
    with optuna_dashboard(sweep.folder, str(sweep.journal)) as address:
        yield address


def completed(study):
    return study.get_trials(states=[optuna.trial.TrialState.COMPLETE])


def test_a_study_names_its_sweep_and_each_trial_its_run(study, sweep):
    assert study.direction.name == "MAXIMIZE"
    assert study.metric_names == [METRIC]
    assert study.user_attrs == {"experiment": "tiny", "optimizer": "adam", "mlflow_run_id": sweep.sweep_id}
    for trial in study.trials:
        run = sweep.tracker.runs[trial.user_attrs["mlflow_run_id"]]
        assert (run.tags[Tag.OPTIMIZER], run.tags[Tag.NUMBER]) == ("adam", str(trial.number))
        assert run.outcome == trial.user_attrs["outcome"] == {"COMPLETE": "completed"}.get(trial.state.name, "pruned")
        assert trial.intermediate_values == {step: each[METRIC] for step, each in run.history.items()}
        assert trial.value == max(trial.intermediate_values.items())[1]
        assert trial.params["optimizer.lr"] == run.params["optimizer.lr"]
    frame = study.trials_dataframe()
    assert list(frame[f"value_{METRIC}"]) == [trial.value for trial in study.trials]
    assert {"params_optimizer.lr", "params_model.dropout", "user_attrs_mlflow_run_id", "duration"} <= {*frame}


def test_the_documented_figure_has_a_line_for_each_trial(recipe, study, sweep):
    assert "plotly" in (sweep.folder / "adam.html").read_text(encoding="utf-8")
    lines = {line.name: tuple(line.y) for line in recipe["figure"].data}
    assert lines == {f"Trial{each.number}": tuple(each.intermediate_values.values()) for each in study.trials}


def test_optunas_figures_show_the_study(study):
    history, best, *_ = visualization.plot_optimization_history(study).data
    assert list(history.y) == [trial.value for trial in completed(study)]
    assert best.y[-1] == study.best_value
    (bars,) = visualization.plot_param_importances(study).data
    assert set(bars.y) == {"optimizer.lr", "model.dropout"}
    axes = visualization.plot_parallel_coordinate(study).layout.xaxis.ticktext
    assert set(axes) == {"Objective Value", "model.dropout", "optimizer.lr"}


@pytest.mark.filterwarnings("ignore:.*is experimental:optuna.exceptions.ExperimentalWarning")
def test_optunas_figures_by_matplotlib_show_the_study(study):
    by_matplotlib = visualization.matplotlib
    try:
        history = by_matplotlib.plot_optimization_history(study)
        assert len(history.collections[0].get_offsets()) == len(completed(study))
        assert len(by_matplotlib.plot_intermediate_values(study).lines) == len(study.trials)
        bars = by_matplotlib.plot_param_importances(study)
        assert {each.get_text() for each in bars.get_yticklabels()} == {"optimizer.lr", "model.dropout"}
        assert by_matplotlib.plot_parallel_coordinate(study).get_figure() is not None
    finally:
        plt.close("all")


@pytest.mark.slow
def test_the_dashboard_answers_with_the_sweeps_studies(dashboard, sweep, study):
    def ask(what):
        with urllib.request.urlopen(f"{dashboard}/api/studies{what}") as response:
            return json.load(response)

    studies = {each["study_name"]: each for each in ask("")["study_summaries"]}
    assert set(studies) == {f"{name} of {sweep.sweep_id}" for name in ("sgd", "adam")}
    shown = ask(f"/{studies[study.study_name]['study_id']}")
    assert (shown["directions"], shown["objective_names"]) == (["maximize"], [METRIC])
    assert {each["key"]: each["value"] for each in shown["user_attrs"]} == study.user_attrs
    assert [each["number"] for each in shown["best_trials"]] == [study.best_trial.number]
    for trial, of_study in zip(shown["trials"], study.trials, strict=True):
        assert trial["state"].upper() == of_study.state.name
        assert trial["values"] == of_study.values
        values = {each["step"]: each["value"] for each in trial["intermediate_values"]}
        assert values == of_study.intermediate_values
        attributes = {each["key"]: each["value"] for each in trial["user_attrs"]}
        assert attributes["mlflow_run_id"] == of_study.user_attrs["mlflow_run_id"]


@pytest.mark.slow
def test_the_dashboard_shows_a_study_and_the_browser_has_no_complaint(dashboard, sweep, study):
    with launched(installed_browser()) as browser:
        opened = open_page(browser, f"{dashboard}/dashboard/studies/1", dashboard)
        for shown in (study.study_name, f"Best Trial (number={study.best_trial.number})", "Intermediate values"):
            expect(opened.page.get_by_text(shown).first).to_be_visible(timeout=PATIENCE)
        expect(opened.page.get_by_role("cell", name=sweep.sweep_id)).to_be_visible(timeout=PATIENCE)
        expect(opened.page.get_by_text(METRIC).first).to_be_visible(timeout=PATIENCE)
        assert opened.complaints == []
        assert [address for address in opened.requests if not address.startswith(dashboard)] == []


@pytest.mark.long
def test_optuna_logs_nothing_during_a_sweep_and_as_before_after_it(definition, inline, capfd):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    run_sweep("tiny", definition.model_copy(update={"budget": 2}), MemoryTracker(), inline)
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert "A new study created" not in capfd.readouterr().err
