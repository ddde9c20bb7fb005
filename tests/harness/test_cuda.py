"""On a CUDA device a run repeats, is sliced, is moved and is replayed bit by bit, and agrees with the CPU.

`REHEARSE=1` runs on the CPU what needs no GPU. Nothing here needs the fixtures of other tests, MLflow or Optuna:
`tests/gpu.sh` runs this where they are not installed.
"""

import functools
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest
import torch

from harness.config import OPTIMIZER_CONFIGS, AnyDatasetConfig, DatasetConfig, RunConfig, with_settings
from harness.provenance.environment import environment
from harness.slices import train_slice
from harness.training import gradients
from harness.training.data import load_splits
from harness.training.determinism import isolated
from harness.training.devices import resolve_device
from harness.training.images import Splits
from harness.training.loop import build, initial_state
from harness.training.state import RunState
from studies.executors.local import LocalExecutor
from tests.training import Trained, train_epochs, train_slices

DEVICE = "cpu" if os.environ.get("REHEARSE") else "cuda"
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
on_a_gpu = pytest.mark.skipif(DEVICE == "cpu", reason="a rehearsal has no GPU")
SMALL = DatasetConfig(train_size=330, validation_size=160)  # the last batch is a smaller one
EPOCHS = 2
WAYS_TO_TRAIN = {
    **{name: {"optimizer.name": name} for name in OPTIMIZER_CONFIGS},
    **{f"fused {name}": {"optimizer.name": name, "fused": True} for name in ("sgd", "momentum", "adam")},
    "bfloat16": {"precision": "bfloat16"},
    "channels_last": {"memory_format": "channels_last"},
    "the fast profile": {"precision": "bfloat16", "memory_format": "channels_last"},
    "a schedule": {"schedule.name": "cosine", "schedule.warm_up_epochs": 0.5},
    "clipped gradients": {"gradient_clip_norm": 0.5},
    "smoothed labels": {"label_smoothing": 0.1},
    "no dropout": {"model.dropout": [0, 0]},
    "another activation": {"model.activation": "tanh"},
    "augmentation": {"augmentation.rotation": 10.0},
    "the MLP": {"model.name": "mlp"},
    "a mean of each channel": {
        "dataset.name": "tests.own.shapes:grey_bars",
        "dataset.train_size": 250,
        "dataset.validation_size": 70,
        "dataset.test_size": 80,
        "dataset.mean": [0.2, 0.1],
        "dataset.std": [0.3, 0.4],
        "model": {"shape": [2, 12, 12], "classes": 3},
        "batch_size": 16,
    },
    "an own model": {
        "dataset.name": "tests.own.shapes:bars",
        "dataset.train_size": 250,
        "dataset.validation_size": 70,
        "dataset.test_size": 80,
        "model.name": "tests.own.shapes:Normed",
        "model.outputs": "logits",
        "batch_size": 16,
    },
}


@functools.cache
def _loaded(dataset: AnyDatasetConfig, device: str) -> Splits:
    loaded = load_splits(dataset, device)
    return replace(loaded, test=loaded.validation)  # which is smaller


def splits_of(config: RunConfig) -> Splits:
    return _loaded(config.dataset, config.device)


def config_of(settings: dict[str, object], device: str = DEVICE) -> RunConfig:
    config = RunConfig(dataset=SMALL, threads=1, device=device, epochs=EPOCHS)
    return with_settings(config, settings)


def whole(config: RunConfig) -> Trained:
    return train_epochs(config, initial_state(config), splits_of(config), EPOCHS, ["validation", "test"])


def told(trained: Trained):
    """All that a run gives, without durations."""
    durations = {"train_seconds", "evaluate_seconds", "images_per_second"}
    metrics = [each.model_dump(exclude=durations) for each in trained.metrics]
    return trained.state.hash(), metrics, trained.points, trained.losses, trained.mistakes


@functools.cache
def told_of(way: str):
    config = config_of(WAYS_TO_TRAIN[way])
    return config, told(whole(config))


@pytest.mark.parametrize("way", WAYS_TO_TRAIN)
def test_a_run_cut_into_any_slices_gives_the_same_results(way):
    config, expected = told_of(way)
    assert len(expected[2]) >= EPOCHS * 6, "few points within the epochs"
    cut = train_slices(
        config, initial_state(config), splits_of(config), ["validation", "test"], [1, 7, None, 5, 1, None]
    )
    assert told(cut) == expected


@pytest.mark.parametrize("way", WAYS_TO_TRAIN)
def test_a_run_gives_the_same_results_with_and_without_replayed_steps(way, monkeypatch):
    config, expected = told_of(way)
    _, optimizer, _ = build(config)
    computed_anew = ("augmentation", "an own model", "lbfgs", "sam")
    assert gradients.is_captured(config, optimizer) == (DEVICE == "cuda" and way not in computed_anew)
    monkeypatch.setattr(gradients, "is_captured", lambda *_: False)
    assert told(whole(config)) == expected


@pytest.mark.parametrize("way", ["adadelta", "the fast profile", "an own model"])
def test_a_run_repeats_with_any_generators_and_settings_of_the_process(way):
    config, expected = told_of(way)
    torch.manual_seed(1)
    deterministic, tf32 = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = True
    try:
        assert told(whole(config)) == expected
        assert torch.backends.cudnn.benchmark
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = False
    assert (deterministic, tf32) == (
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.allow_tf32,
    )


def go_on(config: RunConfig, state: bytes) -> Trained:
    return train_slices(config, RunState.from_bytes(state), splits_of(config), ["validation", "test"], [None, None])


def test_a_run_resumes_and_is_reproduced_in_another_process():
    config, expected = told_of("adam")
    with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
        assert told(elsewhere.submit(whole, config).result()) == expected
        begun = train_slices(config, initial_state(config), splits_of(config), ["validation", "test"], [8])
        ended = elsewhere.submit(go_on, config, begun.state.to_bytes()).result()
    assert ended.state.hash() == expected[0]
    assert begun.points + ended.points == expected[2]
    assert begun.losses + ended.losses == expected[3]


def test_workers_of_a_sweep_train_side_by_side_to_the_same_bits():
    config = config_of({})
    alone = train_epochs(config, initial_state(config), splits_of(config), 1, ["validation"]).state.hash()
    with LocalExecutor(2) as workers:
        slices = [workers.submit(train_slice, config, None, ("validation",), None) for _ in range(4)]
        assert {RunState.from_bytes(each.result().state).hash() for each in slices} == {alone}


def test_a_run_starts_with_the_cpus_weights_and_ends_near_the_cpus_loss():
    way = {"model.dropout": [0, 0]}
    here, on_cpu = (config_of(way, device) for device in (DEVICE, "cpu"))
    weights = initial_state(here).model
    assert all(torch.equal(weights[name], weight) for name, weight in initial_state(on_cpu).model.items())
    ours, theirs = whole(here), whole(on_cpu)
    assert ours.losses[0] == pytest.approx(theirs.losses[0], rel=1e-5)
    assert ours.losses[5] == pytest.approx(theirs.losses[5], rel=1e-3)
    assert ours.metrics[0].train_loss == pytest.approx(theirs.metrics[0].train_loss, rel=0.05)
    assert ours.metrics[0].validation_loss == pytest.approx(theirs.metrics[0].validation_loss, rel=0.25)


@on_a_gpu
def test_an_operation_that_is_not_deterministic_is_refused_by_name():
    with isolated(config_of({})), pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        torch.nn.functional.adaptive_avg_pool2d(
            torch.ones(1, 1, 4, 4, device="cuda", requires_grad=True), 3
        ).sum().backward()


@on_a_gpu
def test_the_device_is_found_and_recorded():
    assert resolve_device("auto") == "cuda"
    assert resolve_device("cuda:0") == "cuda:0"
    assert environment()["gpus"][0] == torch.cuda.get_device_name(0)
