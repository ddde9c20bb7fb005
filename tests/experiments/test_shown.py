"""What a command shows while it works: never silent on a terminal, a line for each tenth of an epoch in a pipe."""

import io

import pytest
import torch
from rich.console import Console

from experiments.cli import progress
from harness.records import EpochMetrics
from harness.training.epoch import Epoch

FEW = ("--set", "dataset.train_size=640", "--set", "dataset.validation_size=320", "--epochs", "1")
METRICS = EpochMetrics(
    epoch=1, train_loss=0.5, train_accuracy=0.8, train_seconds=2.0, evaluate_seconds=0.1, images_per_second=320.0
)


@pytest.fixture
def shown(monkeypatch):
    """Return a function that records stderr, as a terminal or as a pipe."""

    def console(terminal):
        text = io.StringIO()
        monkeypatch.setattr(
            progress, "Console", lambda **_: Console(file=text, force_terminal=terminal, width=100, color_system=None)
        )
        return text

    return console


def train(watcher, config, last=None):
    """Simulate the steps of an epoch with falling losses: all of them, or the first `last`."""
    steps = config.dataset.train_size // config.batch_size
    batches = torch.arange(config.dataset.train_size).split(config.batch_size)
    epoch = Epoch(0, batches, torch.linspace(2, 1, steps), torch.zeros(steps))
    for step in range(1, (last or steps) + 1):
        epoch.step = step
        watcher.stepped(1, epoch)
    if last is None:
        watcher.ended(METRICS)


def test_a_pipe_gets_a_line_for_each_tenth_of_an_epoch_and_for_each_epoch(shown, config):
    text = shown(terminal=False)
    with progress.watch_training(config, 2) as watcher:
        train(watcher, config)
    *tenths, last = text.getvalue().splitlines()
    assert [line.split()[2] for line in tenths] == [f"{64 * tenth}/640" for tenth in range(1, 10)]
    assert all(line.startswith("epoch 1/2  ") and line.endswith(" left") for line in tenths)
    assert "train loss 1.9737" in tenths[0], "the mean of the steps until now"
    assert last.startswith("epoch 1/2  train loss 0.5000")


def test_a_terminal_shows_images_per_cent_loss_and_time_left(shown, config, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0)
    text = shown(terminal=True)
    with progress.watch_training(config, 2) as watcher:
        train(watcher, config, last=5)
    for part in ("epoch 1/2", " 25% ", "160/640 images", "train loss 1.8947", "left"):
        assert part in text.getvalue()


def test_a_terminal_keeps_a_line_of_each_epoch_that_has_ended(shown, config):
    text = shown(terminal=True)
    with progress.watch_training(config, 2) as watcher:
        train(watcher, config)
    assert "epoch 1/2  train loss 0.5000  2.0 s" in text.getvalue()


def test_a_terminal_shows_the_current_task_before_training_begins(shown):
    text = shown(terminal=True)
    with progress.working("reading the data"):
        pass
    assert "reading the data" in text.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_shows_nothing(shown, config, terminal):
    text = shown(terminal)
    with progress.working("reading the data", quiet=True):
        pass
    with progress.watch_training(config, 1, quiet=True) as watcher:
        train(watcher, config)
    assert text.getvalue() == ""


@pytest.mark.long
def test_a_quiet_run_prints_only_its_result(harness, data):
    result = harness("run", "chapter", *FEW, "--data-dir", "data", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("completed: run ")
