"""A run is the same wherever slices of it end and whatever is measured within it, in whichever process they train."""

import functools
import itertools
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from harness.config import OPTIMIZER_CONFIGS, RunConfig, canonical_json, steps_per_epoch, with_settings
from harness.records import Divergence
from harness.slices import train_slice
from harness.training.checkpoint import Checkpoint, load_latest, save
from harness.training.checks import require_sound
from harness.training.data import load_splits
from harness.training.evaluation import evaluate
from harness.training.images import Split, Splits
from harness.training.loop import EvaluationSplit, build_model, initial_state
from harness.training.measuring import validation_part
from harness.training.state import RunState
from tests.metrics import numbers
from tests.mnist_folder import write_mnist
from tests.started import forked
from tests.tiny import SMALL_NETWORK
from tests.training import Trained, train_epochs, train_slices

EPOCHS, STEPS = 2, 12  # of each epoch
FEW = {"dataset.train_size": 192, "dataset.validation_size": 48, "batch_size": 16, "threads": 1, "epochs": EPOCHS}
HERE = "tests.own.shapes"
OWN = FEW | {
    "dataset.name": f"{HERE}:bars",
    "dataset.train_size": 186,  # the last batch is a smaller one
    "dataset.test_size": 80,
    "model.name": f"{HERE}:Scores",
    "optimizer.name": f"{HERE}:SignDescent",
    "optimizer.lr": 0.01,
}
CONVOLVE = {"adam", "adafactor", "muon", "soap"}  # on the chapter's network; the last three treat kernels specially
OPTIMIZERS = {
    name: FEW | {"optimizer.name": name} | ({} if name in CONVOLVE else SMALL_NETWORK) for name in OPTIMIZER_CONFIGS
}
OPTIMIZERS["lbfgs"] |= {"optimizer.history_size": 3}  # a state holds the weights twice as often
RATE = {"optimizer.name": "momentum", "optimizer.lr": 0.05}
WAYS_TO_TRAIN = {
    "one-cycle": {**RATE, "schedule.name": "one-cycle"},
    "cosine after a warm-up": {**RATE, "schedule.name": "cosine", "schedule.warm_up_epochs": 0.7},
    "step": {**RATE, "schedule.name": "step", "schedule.gamma": 0.5},
    "augmentation": {
        "augmentation.rotation": 10.0,
        "augmentation.translation": 0.1,
        "augmentation.scale": 0.1,
        "augmentation.horizontal_flip": 0.5,
    },
    "no dropout": {"model.dropout": (0.0, 0.0)},
    "much dropout": {"model.dropout": (0.5, 0.5)},
    "channels_last": {"memory_format": "channels_last"},
    "bfloat16": {"precision": "bfloat16"},
    "fused": {"optimizer.name": "adam", "fused": True},
    "fused, channels_last": {"optimizer.name": "momentum", "fused": True, "memory_format": "channels_last"},
    "clipped gradients": {"gradient_clip_norm": 0.5},
    "smoothed labels": {"label_smoothing": 0.1},
    "a last batch that is smaller": {"dataset.train_size": 180},
    "no points": {"trajectory.images": 0},
    "few points": {"trajectory.points": (0.4,), "trajectory.every": 0.7, "trajectory.images": 40},
}
SCHEDULE_FREE = {"optimizer.name": "pytorch_optimizer:ScheduleFreeAdamW"}
OWN_PARTS = {
    "schedule-free": SCHEDULE_FREE,
    "schedule-free with a batch norm": SCHEDULE_FREE | {"model.name": f"{HERE}:Normed"},
    "two passes with a batch norm": {"optimizer.name": f"{HERE}:Sharp", "model.name": f"{HERE}:Normed"},
    "a closure with noise from numpy and Python": {
        "optimizer.name": "torch.optim:LBFGS",
        "optimizer.history_size": 3,
        "model.name": f"{HERE}:Drawn",
    },
    "an optimizer that draws from numpy": {"optimizer.name": f"{HERE}:Shaken"},
    "a batch norm": {"model.name": f"{HERE}:Normed"},
    "weights and noise from numpy and Python": {"model.name": f"{HERE}:Drawn"},
    "noise in evaluation mode": {"model.name": f"{HERE}:NoisyWhenEvaluated"},
    "a buffer that changes in evaluation mode": {"model.name": f"{HERE}:Centred"},
}
VARIANTS = (
    OPTIMIZERS
    | {name: FEW | each for name, each in WAYS_TO_TRAIN.items()}
    | {name: OWN | each for name, each in OWN_PARTS.items()}
)


def config_of(settings: dict[str, object]) -> RunConfig:
    config = with_settings(RunConfig(), settings)
    return require_sound(config, data_of(config))


def data_of(config: RunConfig) -> Splits:
    return _loaded(config.dataset)


@functools.lru_cache(maxsize=4)
def _loaded(dataset) -> Splits:
    return load_splits(dataset, "cpu", folder_of_mnist())


def folder_of_mnist() -> Path:
    """Return a folder with enough of MNIST for all variants, since each process takes a second to read all of it."""
    return Path(_written().name)


@functools.cache
def _written() -> tempfile.TemporaryDirectory:
    folder = tempfile.TemporaryDirectory(prefix="harness-mnist-")
    write_mnist(Path(folder.name), train=240, test=80)
    return folder


def told(trained: Trained):
    """All that a run gives, without durations."""
    return trained.state.hash(), numbers(trained.metrics), trained.points, trained.losses, trained.divergence


def whole(config: RunConfig, splits: Sequence[EvaluationSplit] = ("validation",)) -> Trained:
    return train_epochs(config, initial_state(config), data_of(config), EPOCHS, splits)


def cut(config: RunConfig, cuts: Iterable[int], splits: Sequence[EvaluationSplit] = ("validation",)) -> Trained:
    """The run in slices that end after these steps, counted from its beginning, and with each epoch."""
    ends = sorted({*cuts, *range(0, (EPOCHS + 1) * STEPS, STEPS)})
    slices = [end - begin for begin, end in itertools.pairwise(ends)]
    return train_slices(config, initial_state(config), data_of(config), splits, slices)


@functools.cache
def told_of(variant: str):
    """The config of a variant, and what the run gives in whole epochs."""
    config = config_of(VARIANTS[variant])
    assert steps_per_epoch(config) == STEPS
    return config, told(whole(config))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=3, deadline=None)
@given(cuts=st.sets(st.integers(1, EPOCHS * STEPS - 1), min_size=1, max_size=6))
def test_a_run_cut_into_any_slices_gives_the_same_results(variant, cuts):
    config, expected = told_of(variant)
    assert told(cut(config, cuts)) == expected


@pytest.mark.long
@pytest.mark.parametrize("variant", [*OWN_PARTS, "adam", "lbfgs", "sam", "muon", "soap", "cosine after a warm-up"])
def test_a_run_cut_into_slices_of_one_step_gives_the_same_results(variant):
    config, expected = told_of(variant)
    assert told(cut(config, range(EPOCHS * STEPS))) == expected


@pytest.mark.parametrize("variant", ["a buffer that changes in evaluation mode", "few points"])
def test_a_slice_ends_after_its_steps_its_seconds_or_the_epoch_and_reports_each_step(variant):
    config, expected = told_of(variant)
    checkpoint, said = Checkpoint(), []

    def on_step(number, epoch):
        said.append((number, epoch.step))

    for steps, seconds, ended in ((5, 600, 5), (100, 0, 6), (2, 600, 8), (100, 600, 0), (None, 600, 0)):
        checkpoint = go_on(config, folder_of_mnist(), checkpoint, steps, seconds, on_step)
        assert checkpoint.step == ended
    assert told_of_checkpoint(checkpoint) == expected[:3]
    assert said == [(epoch, step) for epoch in (1, 2) for step in range(1, STEPS + 1)]


def go_on(
    config: RunConfig, data: Path, before: Checkpoint, steps: int | None, seconds: float = 600, on_step=None
) -> Checkpoint:
    after = train_slice(config, before.state, ("validation",), data, steps=steps, seconds=seconds, on_step=on_step)
    epochs = (*before.epochs, after.metrics) if after.metrics else before.epochs
    return Checkpoint(after.state, epochs, after.step, before.points + after.points)


def told_of_checkpoint(checkpoint: Checkpoint):
    return RunState.from_bytes(checkpoint.state).hash(), numbers(checkpoint.epochs), checkpoint.points


@pytest.fixture(scope="module")
def spawned():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("variant", [*OPTIMIZERS, "cosine after a warm-up", "augmentation", *OWN_PARTS])
def test_a_run_killed_within_an_epoch_gives_the_same_results_in_other_processes(variant, tmp_path, spawned):
    config, expected = told_of(variant)
    killed = forked(train_until_killed, config, folder_of_mnist(), tmp_path)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    checkpoint = load_latest(tmp_path)
    assert (len(checkpoint.epochs), checkpoint.step) == (1, 5)
    for steps in (1, 4, None):
        checkpoint = spawned.submit(go_on, config, folder_of_mnist(), checkpoint, steps).result()
    assert told_of_checkpoint(checkpoint) == expected[:3]


def train_until_killed(config: RunConfig, data: Path, folder: Path) -> None:
    """Keeps each slice of five steps, and is killed in the second one of the second epoch."""
    steps, within = itertools.count(1), []

    def kill(*_):
        within.pop()
        if not within and next(steps) == STEPS + 8:
            os.kill(os.getpid(), signal.SIGKILL)

    register_optimizer_step_pre_hook(lambda *_: within.append(True))  # which an optimizer around another calls twice
    register_optimizer_step_post_hook(kill)
    checkpoint = Checkpoint()
    while True:
        checkpoint = go_on(config, data, checkpoint, 5)
        save(folder, checkpoint)


@pytest.mark.long
@pytest.mark.parametrize("variant", ["adam", "bfloat16", "augmentation", "schedule_free_adamw", *OWN_PARTS])
def test_measuring_within_an_epoch_leaves_training_as_it_was(variant):
    config, (hashed, measures, points, losses, _) = told_of(variant)
    assert len(points) > 2 * 8
    never = whole(with_settings(config, {"trajectory.images": 0}))
    assert never.points == ()
    assert replace(never.state, config=canonical_json(config)).hash() == hashed
    assert (numbers(never.metrics), never.losses) == (measures, losses)


def test_each_point_has_the_models_results_on_a_part_of_the_validation_set():
    config, (_, _, points, _, _) = told_of("few points")
    data = data_of(config)
    # after .4, .7, 1.4 and 2.1 epochs, of which whole steps count, and at the end of each epoch
    assert [point.step for point in points] == [4, 8, 12, 16, 24]
    assert [point.images for point in points] == [64, 128, 192, 256, 384]
    part = validation_part(data.validation, config)
    assert len(part) == 40
    for point in points:
        model = build_model(config, cut_after(config, point.step))
        measured = evaluate(model, Split(data.validation.images[part], data.validation.labels[part]), config)
        assert point.validation_accuracy == measured[1]
        assert point.validation_loss == pytest.approx(measured[0], rel=1e-6)


def cut_after(config: RunConfig, step: int, splits: Sequence[EvaluationSplit] = ()) -> RunState:
    whole_epochs, within = divmod(step, STEPS)
    slices = [None] * whole_epochs + [within] * bool(within)
    return train_slices(config, initial_state(config), data_of(config), splits, slices).state


def test_measured_parts_are_stratified_and_each_part_is_inside_the_larger_ones(small):
    config = with_settings(RunConfig(), {"dataset.validation_size": len(small.validation)})
    parts = [
        set(validation_part(small.validation, with_settings(config, {"trajectory.images": size})).tolist())
        for size in (50, 80, 2000)
    ]
    assert [len(part) for part in parts] == [50, 80, len(small.validation)]
    assert parts[0] < parts[1] < parts[2]
    counts = small.validation.labels.bincount()
    half = small.validation.labels[torch.tensor(sorted(parts[1]))].bincount()
    assert ((half - counts / 2).abs() <= 1).all()


DIVERGING = OWN | {"model.outputs": "logits", "optimizer.name": f"{HERE}:Exploding"}


@pytest.mark.long
@pytest.mark.parametrize("splits", [(), ("validation",)])
@settings(max_examples=10, deadline=None)
@given(at=st.integers(1, EPOCHS * STEPS), cuts=st.sets(st.integers(1, EPOCHS * STEPS - 1), max_size=6))
@example(at=STEPS, cuts=set())
@example(at=STEPS, cuts={STEPS - 1, STEPS + 1})
def test_a_diverging_run_ends_the_same_for_any_slices(splits, at, cuts):
    config = with_settings(RunConfig(), DIVERGING | {"optimizer.at": at})
    expected = whole(config, splits)
    assert told(cut(config, cuts, splits)) == told(expected)
    epoch, step = divmod(at, STEPS)
    if splits and step == 0:
        assert expected.divergence == Divergence(epoch=epoch, step=STEPS, split="validation")
    elif at < EPOCHS * STEPS:
        assert expected.divergence == Divergence(epoch=epoch + 1, step=step, split="train")
        assert expected.state.hash() == cut_after(config, at, splits).hash()
    else:
        assert expected.divergence is None


def test_the_chapters_network_diverges_at_the_same_step_for_any_slices():
    exploding = {"optimizer.name": "sgd", "optimizer.lr": 1e6, "optimizer.weight_decay": 1.0}
    config = with_settings(RunConfig(), FEW | exploding)
    expected = whole(config)
    assert 0 < expected.divergence.step < STEPS
    assert expected.divergence.split == "train"
    for cuts in (range(STEPS), [expected.divergence.step], [expected.divergence.step - 1]):
        assert told(cut(config, cuts)) == told(expected)
