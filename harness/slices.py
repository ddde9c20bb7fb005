"""Train one slice of a run, in this or any other process: from a serialised state to a later serialised state."""

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
    """What a worker returns: the state after the slice, in bytes, and what the slice measured.

    `step` is the position of the state within its epoch. `steps` are all steps of that epoch so far, including those
    of earlier slices; `metrics` is None unless the slice completed the epoch. `seconds` is the time of training and
    measuring.
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
    """Train `config` from `state` (None: from the beginning), in this or any other process.

    The slice ends at the end of the epoch, after `steps` steps, or after about `seconds` seconds, whichever comes
    first; where it ends changes no result. `on_step` is called after each step with the epoch so far.

    Raises:
        BadInputError: `origin` is given, and the data or the source of own parts differ from it.
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
