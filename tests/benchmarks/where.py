"""Where a step's time goes: what a profile of the chapter's run says, in float32 and in the fast profile."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from torch.profiler import ProfilerActivity, profile

from experiments import catalog
from harness.config import RunConfig, with_settings
from harness.training.data import load_splits
from harness.training.determinism import isolated
from harness.training.devices import fast_settings
from harness.training.loop import initial_state
from tests.contenders import THREADS
from tests.contenders.record import markdown, record
from tests.training import train_epochs

IMAGES = 6_400
POOLING = (
    "_PairwiseMaxPool",
    "_PairwiseMaxPoolBackward",
    "aten::max_pool2d_with_indices",
    "aten::max_pool2d_with_indices_backward",
)
PARTS: dict[str, Callable[[str], bool]] = {  # by the profiler's names
    "convolutions": lambda name: name in ("aten::mkldnn_convolution", "aten::convolution_backward"),
    "matrix products": lambda name: name in ("aten::mm", "aten::addmm"),
    "pooling": lambda name: name in POOLING,
    "optimizer": lambda name: name.startswith("Optimizer.step"),
}
OTHER, PYTHON = "everything else in torch", "Python between its operations"


def main() -> None:
    """the share of a step that convolutions, matrix products, pooling, the optimizer and the rest take"""
    measured = {}
    for precision, settings in (("float32", {}), ("fast", fast_settings("cpu"))):
        said = {"threads": THREADS, "dataset.train_size": IMAGES, "device": "cpu", **settings}
        measured[precision] = shares(with_settings(catalog.load_run("chapter"), said))
    rows = [[part, *(f"{found[part]:.0%}" for found in measured.values())] for part in measured["float32"]]
    record("where", measured, {}, {}, markdown(["", *measured], rows))


def shares(config: RunConfig) -> Mapping[str, float]:
    """Return the share of each part in the time of a training epoch, after an epoch to warm up."""
    splits = load_splits(config.dataset, config.device)
    state = train_epochs(config, initial_state(config), splits, 1, []).state
    with isolated(config), profile(activities=[ProfilerActivity.CPU]) as profiled:
        started = time.perf_counter()
        train_epochs(config, state, splits, 1, [])
        seconds = time.perf_counter() - started
    events = profiled.key_averages()
    found = {
        part: sum(map(_seconds, filter(lambda each: belongs(each.key), events))) for part, belongs in PARTS.items()
    }
    in_torch = sum(each.self_cpu_time_total for each in events) / 1e6
    found |= {OTHER: in_torch - sum(found.values()), PYTHON: seconds - in_torch}
    return {part: each / seconds for part, each in found.items()}


def _seconds(event: Any) -> float:
    inclusive = event.key in POOLING or event.key.startswith("Optimizer.step")
    return float(event.cpu_time_total if inclusive else event.self_cpu_time_total) / 1e6
