"""A slice of a run: trained in this or any other process, from a state as bytes to the next one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.config import RunConfig
from harness.pace import SLICE_SECONDS
from harness.provenance.origin import Origin, data_for_slice
from harness.records import Divergence, EpochMetrics, Mistakes, TrajectoryPoint
from harness.training.epoch import Epoch
from harness.training.loop import EvaluationSplit, advance, initial_state
from harness.training.state import RunState
from harness.training.trajectory import Steps

OnStep = Callable[[int, Epoch], None]  # the number of the epoch, from 1, and the epoch


@dataclass(frozen=True)
class SliceResult:
    """What a worker gives back: the state after a slice as bytes, `step` steps into an epoch, and what it measured.

    `steps` are those of the epoch that it trained, the ones of earlier slices too; `metrics` are there where that
    epoch came to its end. `seconds` are of training and measuring.
    """

    state: bytes
    step: int
    steps: Steps
    seconds: float
    points: tuple[TrajectoryPoint, ...] = ()
    metrics: EpochMetrics | None = None
    divergence: Divergence | None = None
    mistakes: Mistakes | None = None


def train_slice(
    config: RunConfig,
    state: bytes | None,
    splits: tuple[EvaluationSplit, ...],
    data_dir: Path | None,
    origin: Origin | None = None,
    steps: int | None = None,
    seconds: float = SLICE_SECONDS,
    on_step: OnStep | None = None,
) -> SliceResult:
    """Train `config` further from `state` (None: from the beginning), in this or any other process.

    To the epoch's end at most, for `steps` at most, and for about so many seconds; `on_step` is called after each
    step with the epoch as it is then. Where a slice ends changes no number.

    Raises:
        BadInputError: the data or the source of own parts are not those of `origin`, where it is given.
    """
    data = data_for_slice(config, data_dir, origin)
    before = initial_state(config) if state is None else RunState.from_bytes(state)
    started = time.perf_counter()

    def is_enough(epoch: Epoch) -> bool:
        if on_step:
            on_step(before.epoch + 1, epoch)
        return time.perf_counter() - started >= seconds

    after = advance(config, before, data, splits, steps, is_enough)
    return SliceResult(
        state=after.state.to_bytes(),
        step=after.state.step,
        steps=Steps(after.losses.numpy(), after.correct.numpy()),
        seconds=time.perf_counter() - started,
        points=after.points,
        metrics=after.metrics,
        divergence=after.divergence,
        mistakes=after.mistakes,
    )
