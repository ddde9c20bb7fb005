"""A checkpoint is there whole or not at all, and a damaged one is refused by name."""

import os

import pytest

from harness.errors import DamagedFileError
from harness.records import Divergence, EpochMetrics, Mistake, Mistakes
from harness.training.checkpoint import Checkpoint, discard, is_kept, load, load_latest, save


def metrics(epoch: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch,
        train_loss=0.1 + epoch / 3,
        train_accuracy=0.9,
        train_seconds=1.5,
        evaluate_seconds=0.2,
        images_per_second=640 / 1.5,
    )


def checkpoint(epochs: int) -> Checkpoint:
    return Checkpoint(bytes(range(256)) * 4, tuple(metrics(epoch) for epoch in range(1, epochs + 1)))


def test_what_was_saved_comes_back(tmp_path):
    diverged = Checkpoint(b"state", (metrics(1),), Divergence(epoch=2, step=7, split="train"))
    save(tmp_path / "diverged", diverged)
    assert load_latest(tmp_path / "diverged") == diverged
    worst = Mistake(index=3, ground_truth=0, prediction=1, probability=0.1 + 0.2, pixels="AAAA")
    mistakes = Mistakes(class_names=("a", "b"), confusion=((5, 1), (0, 4)), most_confident=(worst,))
    ended = Checkpoint(b"state", (metrics(1),), mistakes=mistakes)
    save(tmp_path / "ended", ended)
    assert load_latest(tmp_path / "ended") == ended


def test_the_last_two_are_kept_until_they_are_discarded(tmp_path):
    folder = tmp_path / "run"
    assert load_latest(folder) == Checkpoint()
    for epochs in (1, 2, 3, 10):
        save(folder, checkpoint(epochs))
    assert [path.name for path in sorted(folder.iterdir())] == ["epoch-00003.checkpoint", "epoch-00010.checkpoint"]
    assert load_latest(folder) == checkpoint(10)
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


def test_a_save_that_was_cut_off_leaves_the_one_before(tmp_path):
    save(tmp_path, checkpoint(1))
    (tmp_path / "epoch-00002.partial").write_bytes(b"half of it")
    assert load_latest(tmp_path) == checkpoint(1)


@pytest.mark.parametrize("removed", [0, 1, 2])
@pytest.mark.parametrize("last", range(2, 10))  # a file system has an order of its own, by names
def test_a_discard_that_is_cut_off_leaves_the_last_one_or_none(tmp_path, monkeypatch, last, removed):
    folder = tmp_path / "run"
    for epochs in (last - 1, last):
        save(folder, checkpoint(epochs))
    calls = iter([os.unlink] * removed + [cut_off])
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", lambda *path, **options: next(calls)(*path, **options))
        patched.setattr(os, "rmdir", cut_off)
        with pytest.raises(SystemExit):
            discard(folder)
    assert is_kept(folder) == (removed < 2)
    assert load_latest(folder) == (checkpoint(last) if removed < 2 else Checkpoint())
    discard(folder)
    assert not folder.exists()


def cut_off(*path, **options):
    raise SystemExit
