"""A checkpoint is there whole or not at all, and a damaged one is refused by name."""

import hashlib
import json
import os

import numpy as np
import pytest

from harness.errors import DamagedFileError
from harness.records import Divergence, EpochMetrics, Mistake, Mistakes, TrajectoryPoint
from harness.training.checkpoint import (
    Checkpoint,
    discard,
    is_kept,
    load,
    load_latest,
    load_steps,
    save,
    save_steps,
)
from harness.training.trajectory import Steps


def metrics(epoch: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch,
        train_loss=0.1 + epoch / 3,
        train_accuracy=0.9,
        train_seconds=1.5,
        evaluate_seconds=0.2,
        images_per_second=640 / 1.5,
    )


POINTS = tuple(
    TrajectoryPoint(step=step, images=32 * step, validation_loss=loss, validation_accuracy=0.1 + 0.2)
    for step, loss in ((3, 1 / 3), (6, None))
)


def checkpoint(epochs: int, step: int = 0) -> Checkpoint:
    whole = tuple(metrics(epoch) for epoch in range(1, epochs + 1))
    return Checkpoint(bytes(range(256)) * 4, whole, step, POINTS if step else ())


def test_a_saved_checkpoint_is_loaded_unchanged(tmp_path):
    diverged = Checkpoint(b"state", (metrics(1),), 7, POINTS, Divergence(epoch=2, step=7, split="train"))
    save(tmp_path / "diverged", diverged)
    assert load_latest(tmp_path / "diverged") == diverged
    worst = Mistake(index=3, ground_truth=0, prediction=1, probability=0.1 + 0.2, pixels="AAAA")
    mistakes = Mistakes(class_names=("a", "b"), confusion=((5, 1), (0, 4)), most_confident=(worst,))
    ended = Checkpoint(b"state", (metrics(1),), mistakes=mistakes)
    save(tmp_path / "ended", ended)
    assert load_latest(tmp_path / "ended") == ended


def test_the_last_two_checkpoints_are_kept_until_they_are_discarded(tmp_path):
    folder = tmp_path / "run"
    assert load_latest(folder) == Checkpoint()
    for epochs in (1, 2, 3, 10):
        save(folder, checkpoint(epochs))
    assert [path.name for path in sorted(folder.iterdir())] == ["epoch-00003.checkpoint", "epoch-00010.checkpoint"]
    assert load_latest(folder) == checkpoint(10)
    discard(folder)
    assert not folder.exists()


def test_the_latest_checkpoint_is_the_one_with_the_most_steps(tmp_path):
    for epochs, step in ((0, 400), (0, 12_000), (1, 0), (1, 9), (1, 10), (1, 123_456_789), (2, 0), (10, 0), (10, 1)):
        save(tmp_path, checkpoint(epochs, step))
        assert load_latest(tmp_path) == checkpoint(epochs, step)
    kept = ["epoch-00010.checkpoint", "epoch-00010.step-000000001.checkpoint"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == kept


def test_a_checkpoint_from_before_stops_within_epochs_can_be_read(tmp_path):
    values = {"epochs": [metrics(1).model_dump(mode="json")], "divergence": None, "mistakes": None}
    body = json.dumps(values).encode() + b"\n" + checkpoint(1).state
    digest = hashlib.sha256(body).hexdigest().encode()
    (tmp_path / "epoch-00001.checkpoint").write_bytes(digest + b"\n" + body)
    assert load_latest(tmp_path) == checkpoint(1)


def test_steps_of_whole_epochs_are_stored_and_discarded_with_the_checkpoints(tmp_path):
    folder = tmp_path / "run"
    assert load_steps(folder, 1) is None
    for epoch in range(1, 4):
        steps = Steps(np.array([epoch / 3, np.inf], np.float32), np.array([7, 2**40], np.int64))
        save_steps(folder, epoch, steps)
        save(folder, checkpoint(epoch))
    for epoch in range(1, 4):
        found = load_steps(folder, epoch)
        assert (found.losses.dtype, found.losses.tolist()) == (np.float32, [float(np.float32(epoch / 3)), np.inf])
        assert (found.correct.dtype, found.correct.tolist()) == (np.int64, [7, 2**40])
    discard(folder)
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty"])
def test_a_damaged_file_is_refused_by_name_and_digest(tmp_path, damage):
    save(tmp_path, checkpoint(1))
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes({"truncated": content[:-1], "altered": content[:-9] + b"!" + content[-8:], "empty": b""}[damage])
    with pytest.raises(
        DamagedFileError, match=r"epoch-00001.checkpoint' is damaged, with sha256 [0-9a-f]{64}: expected"
    ):
        load(path)


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty"])
def test_a_damaged_file_of_steps_is_refused_by_name(tmp_path, damage):
    save_steps(tmp_path, 3, Steps(np.arange(100, dtype=np.float32), np.arange(100)))
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(
        {"truncated": content[:-1], "altered": content[:60] + b"!!" + content[62:], "empty": b""}[damage]
    )
    with pytest.raises(DamagedFileError, match=r"epoch-00003.steps' is damaged \(.*; delete it to resume without"):
        load_steps(tmp_path, 3)


def test_an_interrupted_save_leaves_the_previous_checkpoint(tmp_path):
    save(tmp_path, checkpoint(1))
    (tmp_path / "epoch-00002.partial").write_bytes(b"half of it")
    assert load_latest(tmp_path) == checkpoint(1)


@pytest.mark.parametrize("removed", [0, 1, 2])
@pytest.mark.parametrize("last", range(2, 10))  # a file system has an order of its own, by names
def test_an_interrupted_discard_leaves_the_latest_checkpoint_or_none(tmp_path, monkeypatch, last, removed):
    folder = tmp_path / "run"
    for step in (0, 5):
        save(folder, checkpoint(last, step))
        save_steps(folder, last, Steps(np.ones(2, np.float32), np.ones(2, np.int64)))
    calls = iter([os.unlink] * removed + [cut_off])
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", lambda *path, **options: next(calls)(*path, **options))
        patched.setattr(os, "rmdir", cut_off)
        with pytest.raises(SystemExit):
            discard(folder)
    assert is_kept(folder) == (removed < 2)
    assert load_latest(folder) == (checkpoint(last, 5) if removed < 2 else Checkpoint())
    discard(folder)
    assert not folder.exists()


def cut_off(*path, **options):
    raise SystemExit
