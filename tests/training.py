"""A run in one call: in whole epochs, as most tests look at it, or in slices that are cut wherever a test says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.config import RunConfig
from harness.records import Divergence, EpochMetrics, Mistakes, TrajectoryPoint
from harness.training.images import Splits
from harness.training.loop import EvaluationSplit, advance
from harness.training.state import RunState


@dataclass
class Trained:
    """What came of some slices, one after the other. `losses` are of every step."""

    state: RunState
    metrics: tuple[EpochMetrics, ...] = ()
    points: tuple[TrajectoryPoint, ...] = ()
    losses: tuple[float, ...] = ()
    divergence: Divergence | None = None
    mistakes: Mistakes | None = None


def train_epochs(
    config: RunConfig, state: RunState, data: Splits, epochs: int, evaluate_on: Sequence[EvaluationSplit]
) -> Trained:
    return train_slices(config, state, data, evaluate_on, [None] * epochs)


def train_slices(
    config: RunConfig,
    state: RunState,
    data: Splits,
    evaluate_on: Sequence[EvaluationSplit],
    slices: Iterable[int | None],
) -> Trained:
    """Each of `slices` is a number of steps, or None for all to the epoch's end. The state goes through bytes."""
    done = Trained(state)
    for steps in slices:
        before = done.state.step
        after = advance(config, RunState.from_bytes(done.state.to_bytes()), data, evaluate_on, steps)
        done.state, done.divergence, done.mistakes = after.state, after.divergence, after.mistakes
        done.metrics += (after.metrics,) if after.metrics else ()
        done.points += after.points
        done.losses += tuple(after.losses[before:].tolist())
        if after.divergence:
            break
    return done
