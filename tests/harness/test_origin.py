"""A run's data and the source of own parts are the same in every process that trains it, or it is refused."""

import json
from dataclasses import replace

import pytest
import torch

from harness.config import with_settings
from harness.errors import BadInputError
from harness.provenance.origin import data_for_slice, remembered_splits
from harness.provenance.source import require_same_source
from harness.records import SOURCE_ARTIFACT, Tag
from harness.run import begin_run, complete_run, resume_run
from harness.training.data import load_splits
from tests.memory_tracker import MemoryTracker


def refuse(*arguments, **more):
    raise AssertionError("a process is begun")


@pytest.mark.slow
def test_a_run_records_the_source_of_own_parts_and_nothing_if_it_has_none(kit, config, data):
    tracker = MemoryTracker()
    run = tracker.runs[begin_run(kit.config, tracker, "own").run_id]
    assert set(json.loads(run.artifacts[SOURCE_ARTIFACT])) == {"kit.py", "kit_parts/width.py"}
    assert len(run.tags[Tag.SOURCE_DIGEST]) == 16
    other = tracker.runs[begin_run(config, tracker, "tiny", data).run_id]
    assert SOURCE_ARTIFACT not in other.artifacts
    assert Tag.SOURCE_DIGEST not in other.tags


@pytest.mark.long
def test_a_stopped_run_is_refused_if_a_file_of_its_own_parts_was_edited(kit):
    tracker = MemoryTracker()
    run = begin_run(kit.config, tracker, "own")
    kit.edit_imported("WIDTH = 5\n")
    with pytest.raises(BadInputError) as caught:
        resume_run(run.run_id, tracker)
    assert "was begun with source 'kit_parts/width.py'" in str(caught.value)
    assert "restore it" in str(caught.value)
    assert "\n" not in str(caught.value)
    kit.edit_imported("WIDTH = 4\n")
    assert complete_run(resume_run(run.run_id, tracker), tracker).outcome == "completed"


@pytest.mark.slow
def test_a_process_that_imported_a_file_refuses_to_train_after_an_edit_until_it_imports_it_again(kit):
    tracker = MemoryTracker()
    run = begin_run(kit.config, tracker, "own")
    kit.imported.write_text("WIDTH = 5\n")
    for begin in (lambda: begin_run(kit.config, tracker, "own"), lambda: resume_run(run.run_id, tracker)):
        with pytest.raises(BadInputError, match=r"^source 'kit_parts/width\.py' was edited after.*restart Python"):
            begin()
    kit.imported.write_text("WIDTH = 4\n")
    assert begin_run(kit.config, tracker, "own").origin.source == run.origin.source
    kit.edit_imported("WIDTH = 5\n")
    assert begin_run(kit.config, tracker, "own").origin.source != run.origin.source


@pytest.mark.slow
def test_a_new_run_calls_an_own_data_function_again(kit):
    before = begin_run(kit.config, MemoryTracker(), "own").origin.digest
    kit.mend_labels()
    assert begin_run(kit.config, MemoryTracker(), "own").origin.digest != before


@pytest.mark.slow
def test_test_images_that_are_trained_on_too_are_counted_in_a_warning(kit, caplog):
    begin_run(kit.config, MemoryTracker(), "own")
    assert not caplog.messages
    config = with_settings(kit.config, {"dataset.by": "repeats"})
    data = load_splits(config.dataset, "cpu")
    count = sum(any(torch.equal(each, trained) for trained in data.train.images[:]) for each in data.test.images[:])
    assert 0 < count < 30
    begin_run(config, MemoryTracker(), "own")
    (said,) = [message for message in caplog.messages if "among its training images" in message]
    assert f"{count} of the 30 test images of 'kit:points'" in said


@pytest.mark.long
def test_a_run_without_recorded_source_resumes_with_any(kit):
    tracker = MemoryTracker()
    run = begin_run(kit.config, tracker, "own")
    del tracker.runs[run.run_id].tags[Tag.SOURCE_DIGEST]
    kit.edit_imported("WIDTH = 5\n")
    assert complete_run(resume_run(run.run_id, tracker), tracker).outcome == "completed"


@pytest.mark.long
def test_a_stopped_run_is_refused_if_its_dataset_gives_other_data(kit):
    tracker = MemoryTracker()
    run = begin_run(kit.config, tracker, "own")
    kit.mend_labels()
    with pytest.raises(BadInputError, match="restore what its function reads"):
        resume_run(run.run_id, tracker)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["random", "torch", "hash"])
def test_a_dataset_function_that_gives_other_data_each_time_is_refused_before_anything_is_tracked(kit, by):
    tracker = MemoryTracker()
    with pytest.raises(BadInputError) as caught:
        begin_run(with_settings(kit.config, {"dataset.by": by}), tracker, "own")
    assert "'kit:points' returns other data in a second process" in str(caught.value)
    assert "seed its generators, and sort what it reads" in str(caught.value)
    assert not tracker.runs


@pytest.mark.slow
def test_a_dataset_function_that_fails_in_another_process_is_refused_in_one_line(kit, capfd):
    with pytest.raises(BadInputError, match=r"fails in a second process .*LookupError: not here") as caught:
        begin_run(with_settings(kit.config, {"dataset.by": "failing"}), MemoryTracker(), "own")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_second_process_checks_own_data_once_and_never_checks_built_in_data(kit, config, data, monkeypatch):
    begin_run(kit.config, MemoryTracker(), "own")
    monkeypatch.setattr("harness.provenance.repeatable.subprocess.run", refuse)
    begin_run(with_settings(kit.config, {"seed": 1}), MemoryTracker(), "own")
    begin_run(config, MemoryTracker(), "tiny", data)


@pytest.mark.slow
def test_a_worker_with_other_data_or_another_file_refuses_to_train(kit):
    origin = begin_run(kit.config, MemoryTracker(), "own").origin
    with pytest.raises(BadInputError, match=r"'kit:points' gives a worker other data \(digest .*seed its generators"):
        data_for_slice(kit.config, None, replace(origin, digest="0" * 64))
    data_for_slice(kit.config, None, origin)
    kit.imported.write_text("WIDTH = 5\n")
    data_for_slice(kit.config, None, origin)  # which imported it before
    require_same_source.cache_clear()
    with pytest.raises(BadInputError, match=r"source 'kit_parts/width\.py' is .* for a worker and was"):
        data_for_slice(kit.config, None, origin)
    kit.imported.unlink()
    with pytest.raises(BadInputError, match=r"source 'kit_parts/width\.py' is not there for a worker"):
        data_for_slice(kit.config, None, origin)


@pytest.mark.slow
def test_a_worker_computes_data_with_as_many_threads_as_the_coordinator(kit):
    config = with_settings(kit.config, {"dataset.by": "threads"})
    origin = begin_run(config, MemoryTracker(), "own").origin
    here = remembered_splits(config.dataset, "cpu", None)
    remembered_splits.cache_clear()
    there = data_for_slice(config, None, origin)
    assert there.digest == here.digest
    remembered_splits.cache_clear()
    with pytest.raises(BadInputError, match="gives a worker other data"):
        data_for_slice(config, None, replace(origin, threads=origin.threads + 1))
