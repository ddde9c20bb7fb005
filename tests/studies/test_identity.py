"""A sweep is identified by its definition, its data and the source of own code."""

import threading

import pytest
from filelock import Timeout

from harness.config import with_settings
from harness.errors import BadInputError
from harness.lock import only_one_begins
from harness.provenance.origin import new_origin
from harness.provenance.source import own_source
from harness.records import SOURCE_ARTIFACT, Tag
from studies.beginning import begin_sweep
from studies.definition import SweepDefinition
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool, open_pool
from studies.progress import SweepObserver
from studies.space import Choice, Range
from studies.sweep import run_sweep
from tests.memory_tracker import MemoryTracker

pytestmark = pytest.mark.slow

OWN = "tests.own.shapes:SignDescent"


class StopAtOnce(SweepObserver):
    def __init__(self):
        self.stop = threading.Event()

    def trained(self, job, result):
        self.stop.set()


@pytest.fixture
def definition(kit) -> SweepDefinition:
    return SweepDefinition(
        base=kit.config,
        optimizers=("adam", OWN),
        space={},
        spaces={name: {"optimizer.lr": Range(low=1e-4, high=1e-1, log=True)} for name in ("adam", OWN)},
        budget=2,
        trial_epochs=1,
        final_seeds=(1,),
        final_epochs=1,
        subset=True,
    )


@pytest.fixture
def here() -> WorkerPool:
    return WorkerPool(InlineExecutor(), 1)


def edit(kit):
    kit.edit_imported("WIDTH = 5\n")


def mend(kit):
    kit.mend_labels()


CHANGES = [(edit, "'kit_parts/width.py' ("), (mend, "dataset 'kit:points' (digest")]


@pytest.mark.parametrize(("change", "named"), CHANGES)
def test_a_new_sweep_begins_if_own_code_or_data_changed_since_a_completed_one(
    definition, kit, here, caplog, change, named
):
    tracker = MemoryTracker()
    first = run_sweep("own", definition, tracker, here)
    assert run_sweep("own", definition, tracker, here) == first
    assert not caplog.records
    change(kit)
    second = run_sweep("own", definition, tracker, here)
    assert second.sweep_id != first.sweep_id
    (said,) = [record.getMessage() for record in caplog.records]
    assert f"sweep '{first.sweep_id}' ended with another {named}" in said
    assert run_sweep("own", definition, tracker, here) == second


@pytest.mark.parametrize(("change", "named"), CHANGES)
def test_a_stopped_sweep_is_refused_if_own_code_or_data_changed(definition, kit, here, change, named):
    tracker, observer = MemoryTracker(), StopAtOnce()
    with pytest.raises(KeyboardInterrupt):
        run_sweep("own", definition, tracker, here, observer, observer.stop)
    runs = len(tracker.runs)
    change(kit)
    with pytest.raises(BadInputError) as caught:
        run_sweep("own", definition, tracker, here)
    assert f"has not ended, and began with another {named}" in str(caught.value)
    assert "restore it to resume the sweep, or use `fresh`" in str(caught.value)
    assert len(tracker.runs) == runs
    assert run_sweep("own", definition, tracker, here, fresh=True).optimizers["adam"].epochs_spent == 2


def test_a_sweep_is_refused_if_own_code_was_edited_after_this_process_imported_it(definition, kit, here):
    tracker = MemoryTracker()
    run_sweep("own", definition, tracker, here)
    runs = len(tracker.runs)
    kit.imported.write_text("WIDTH = 5\n")
    with pytest.raises(BadInputError, match=r"^source 'kit_parts/width\.py' was edited after this process imported"):
        run_sweep("own", definition, tracker, here)
    assert len(tracker.runs) == runs


def test_a_sweep_that_another_process_began_meanwhile_is_not_begun_a_second_time(definition, kit, here, monkeypatch):
    tracker = MemoryTracker()
    others = []

    def slow(*arguments):
        monkeypatch.setattr("studies.beginning.new_origin", new_origin)
        others.append(begin_sweep("own", definition, tracker, None, None, fresh=False).sweep_id)
        return new_origin(*arguments)

    monkeypatch.setattr("studies.beginning.new_origin", slow)
    assert [run_sweep("own", definition, tracker, here).sweep_id] == others
    assert len([run for run in tracker.runs.values() if run.tags[Tag.STAGE] == "sweep"]) == 1


def test_only_one_process_at_a_time_looks_for_a_sweep_and_begins_it(definition, kit, here, monkeypatch):
    tracker = MemoryTracker()
    begin = tracker.start_run

    def begun(*arguments):
        with pytest.raises(Timeout):
            only_one_begins().acquire(timeout=0)
        return begin(*arguments)

    monkeypatch.setattr(tracker, "start_run", begun)
    begin_sweep("own", definition, tracker, None, None, fresh=False)
    with only_one_begins().acquire(timeout=0):
        assert tracker.runs


def test_a_sweep_that_was_killed_while_it_began_does_not_block_the_next(definition, kit, here, monkeypatch):
    tracker = MemoryTracker()

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tracker, "log_artifact", killed)
        with pytest.raises(KeyboardInterrupt):
            begin_sweep("own", definition, tracker, None, None, fresh=False)
    (broken,) = tracker.runs
    assert run_sweep("own", definition, tracker, here).sweep_id != broken


def test_a_stopped_sweep_without_recorded_source_resumes_with_any(definition, kit, here):
    tracker, observer = MemoryTracker(), StopAtOnce()
    with pytest.raises(KeyboardInterrupt):
        run_sweep("own", definition, tracker, here, observer, observer.stop)
    sweep_id, sweep = next((key, run) for key, run in tracker.runs.items() if run.tags[Tag.STAGE] == "sweep")
    del sweep.tags[Tag.SOURCE_DIGEST], sweep.tags[Tag.DATA_DIGEST], sweep.artifacts[SOURCE_ARTIFACT]
    edit(kit)
    assert run_sweep("own", definition, tracker, here).sweep_id == sweep_id


def test_a_sweep_records_all_own_code_it_can_train_and_a_run_only_its_own(definition, kit, here):
    (kit.imported.parent / "other.py").write_text("from kit import Net\n")
    models = ("kit:Net", "kit_parts.other:Net")
    tracker = MemoryTracker()
    wide = definition.model_copy(update={"space": {"model.name": Choice(choices=models)}, "budget": 4})
    sweep = tracker.runs[run_sweep("own", wide, tracker, here).sweep_id]
    assert sweep.tags[Tag.SOURCE_DIGEST] == own_source([OWN, *models]).digest
    runs = [run for run in tracker.runs.values() if run.tags[Tag.STAGE] != "sweep"]
    parts = [("kit:points", run.params["model.name"], run.params["optimizer.name"]) for run in runs]
    assert len(set(parts)) == 4
    for run, names in zip(runs, parts, strict=True):
        assert run.tags[Tag.SOURCE_DIGEST] == own_source([name for name in names if ":" in name]).digest


def test_a_worker_that_has_other_data_stops_the_sweep_as_bad_input(definition):
    """This happens if one machine of a cluster has another file, or if the function depends on its caller."""
    base = with_settings(definition.base, {"dataset.by": "worker"})
    tracker = MemoryTracker()
    with pytest.raises(BadInputError, match="gives a worker other data"), open_pool("local", 2) as pool:
        run_sweep("own", definition.model_copy(update={"base": base}), tracker, pool)
    outcomes = {run.tags[Tag.STAGE]: run.outcome for run in tracker.runs.values()}
    assert outcomes == {"sweep": "failed", "trial": "killed"}
