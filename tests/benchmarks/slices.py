"""What it costs that a run trains in slices, and that it is measured within its epochs."""

import time
from collections.abc import Callable
from statistics import median

from harness.config import RunConfig, measured_steps, steps_per_epoch, with_settings
from harness.pace import SLICE_SECONDS
from harness.provenance.origin import load_cached_splits
from harness.slices import train_slice
from harness.training.determinism import isolated
from harness.training.epoch import Epoch
from harness.training.loop import build, train_steps
from harness.training.measuring import measure_point
from harness.training.stepping import step_of

REPEATS, STEPS = 15, 50
VARIANTS = {
    "adadelta": {"optimizer.name": "adadelta"},
    "adam": {"optimizer.name": "adam"},
    "adam, fast": {
        "optimizer.name": "adam",
        "precision": "bfloat16",
        "memory_format": "channels_last",
        "fused": True,
    },
}


def main() -> None:
    """what a slice of ten seconds costs beside its steps (goal: 3%), and the points within two epochs (goal: 10%)"""
    for name, settings in VARIANTS.items():
        config = with_settings(RunConfig(), {"threads": 1, **settings})
        data = load_cached_splits(config.dataset, "cpu", None)
        begun = train_slice(config, None, ("validation",), None, steps=1).state
        one = _seconds(lambda: train_slice(config, begun, ("validation",), None, steps=1))  # noqa: B023
        with isolated(config):
            model, optimizer, scheduler = build(config)
            epoch = Epoch.begin(data.train, config.batch_size)
            train_step = step_of(model, optimizer, data.train, config)

            def steps() -> None:
                last = epoch.step + STEPS  # noqa: B023
                train_steps(train_step, scheduler, epoch, last)  # noqa: B023

            step = _seconds(steps) / STEPS
            point = _seconds(lambda: measure_point(model, optimizer, epoch, data.validation, config, 1))  # noqa: B023
        slices = (one - step) / SLICE_SECONDS
        points = sum(len(measured_steps(config, number)) for number in (1, 2))
        measured = points * point / (2 * steps_per_epoch(config) * step)
        print(
            f"{name:<11} a step {step * 1e3:6.2f} ms; a slice {(one - step) * 1e3:6.1f} ms more, {slices:.2%} of its "
            f"{SLICE_SECONDS:g} s; a point {point * 1e3:6.0f} ms, {points} of them {measured:.1%} of two epochs"
        )
        assert slices < 0.03, f"{name}: a slice costs {slices:.1%}"
        assert measured < 0.10, f"{name}: measuring within epochs costs {measured:.1%}"


def _seconds(call: Callable[[], object]) -> float:
    durations = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return median(durations)
