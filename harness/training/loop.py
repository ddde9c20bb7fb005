"""Train a config for some steps: (config, state, data) -> (state, metrics), without files, tracking or terminal."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn, optim
from torch.optim.lr_scheduler import LRScheduler

from harness.config import RunConfig, measured_steps
from harness.records import Divergence, EpochMetrics, Mistakes, TrajectoryPoint
from harness.training.data import class_names
from harness.training.determinism import isolated
from harness.training.epoch import Epoch
from harness.training.evaluation import evaluate, to_evaluate, to_train
from harness.training.generators import seed_generators
from harness.training.images import Split, Splits
from harness.training.measuring import measure_point, point_at_the_end
from harness.training.mistakes import find_mistakes
from harness.training.networks import new_model
from harness.training.optimizers import build_optimizer
from harness.training.order import skip_evaluation_pass
from harness.training.schedules import build_scheduler
from harness.training.state import RunState, capture, restore
from harness.training.stepping import Step, step_of

EvaluationSplit = Literal["validation", "test"]
AfterStep = Callable[[Epoch], bool]  # returns whether the slice ends after this step


@dataclass(frozen=True)
class Slice:
    """Hold the result of `advance`.

    `losses` and `correct` (steps,) are of all steps of the epoch so far, including those of earlier slices. `points`
    are the points that this slice measured. `metrics` is None unless the slice completed the epoch. After a
    divergence, `state` is the state before the step that diverged. `mistakes` is None unless the slice completed the
    config's last epoch, the test set was evaluated, and the model has no more than `LARGEST_MATRIX` classes.
    """

    state: RunState
    losses: Tensor
    correct: Tensor
    points: tuple[TrajectoryPoint, ...] = ()
    metrics: EpochMetrics | None = None
    divergence: Divergence | None = None
    mistakes: Mistakes | None = None


def initial_state(config: RunConfig) -> RunState:
    """Return the state before the first epoch: the seed is set, then the model is initialised, as in the chapter."""
    with isolated(config):
        seed_generators(config.seed)
        return capture(config, 0, *build(config))


def advance(
    config: RunConfig,
    state: RunState,
    data: Splits,
    evaluate_on: Sequence[EvaluationSplit],
    steps: int | None = None,
    after_step: AfterStep | None = None,
) -> Slice:
    """Train the epoch of `state` to its end, or for `steps` steps, or until `after_step` returns True.

    The model is evaluated at the points of the config's trajectory, and at the end of the epoch on the splits
    `evaluate_on`.
    """
    trained = _train(config, state, data, evaluate_on, steps, after_step)
    if trained.divergence is None or trained.divergence.split != "train":
        return trained
    # return the state before the diverged step, which does not depend on where slices begin and end
    before = trained.divergence.step - state.step
    if before == 0:
        return replace(trained, state=state)
    return replace(trained, state=_train(config, state, data, (), before, None).state)


def _train(
    config: RunConfig,
    state: RunState,
    data: Splits,
    evaluate_on: Sequence[EvaluationSplit],
    steps: int | None,
    after_step: AfterStep | None,
) -> Slice:
    with isolated(config):
        model, optimizer, scheduler = build(config)
        restore(state, config, model, optimizer, scheduler)
        number, size = state.epoch + 1, config.batch_size
        epoch = Epoch.go_on(data.train, size, state.begun) if state.begun else Epoch.begin(data.train, size)
        whole = len(epoch.batches)
        last = whole if steps is None else min(epoch.step + steps, whole)
        measured = measured_steps(config, number) if "validation" in evaluate_on else ()
        points: list[TrajectoryPoint] = []

        to_train(model, optimizer)
        train_step = step_of(model, optimizer, data.train, config)
        for end in (*(each for each in measured if epoch.step < each < last), last):
            is_enough = train_steps(train_step, scheduler, epoch, end, after_step)
            if (at := epoch.diverged_at) is not None:
                epoch.step = at
                return _slice(state, epoch, points, divergence=Divergence(epoch=number, step=at, split="train"))
            if epoch.step in measured:
                points.append(measure_point(model, optimizer, epoch, data.validation, config, number))
            if is_enough:
                break
        if epoch.step < whole:
            return _slice(capture(config, state.epoch, model, optimizer, scheduler, epoch.begun), epoch, points)

        to_evaluate(model, optimizer)
        started = time.perf_counter()
        evaluated: dict[str, float] = {}
        mistakes = None
        for name in evaluate_on:
            split = getattr(data, name)
            loss, accuracy, outputs = evaluate(model, split, config)
            if not math.isfinite(loss):
                before = capture(config, state.epoch, model, optimizer, scheduler, epoch.begun)
                return _slice(before, epoch, points, divergence=Divergence(epoch=number, step=whole, split=name))
            evaluated |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
            if name == "validation" and config.trajectory.images:
                points.append(point_at_the_end(outputs, epoch, split, config, number))
            if name == "test" and number == config.epochs:
                mistakes = find_mistakes(outputs, split, class_names(config.dataset, outputs.shape[1]))
        skip_evaluation_pass()
        epoch.evaluate_seconds += time.perf_counter() - started
        metrics = _metrics_of(epoch, number, evaluated)
        after = capture(config, number, model, optimizer, scheduler)
        return _slice(after, epoch, points, metrics=metrics, mistakes=mistakes)


def _slice(state: RunState, epoch: Epoch, points: Sequence[TrajectoryPoint], **more: Any) -> Slice:  # noqa: ANN401
    return Slice(state, *epoch.trained, tuple(points), **more)


def train_steps(
    train_step: Step,
    scheduler: LRScheduler | None,
    epoch: Epoch,
    last: int,
    after_step: AfterStep | None = None,
) -> bool:
    """Train the epoch's next steps, up to step `last` (from 1); stop early and return True if `after_step` does."""
    started, is_enough = time.perf_counter(), False
    for step in range(epoch.step, last):
        loss, correct = train_step(epoch.batches[step])
        if scheduler:
            scheduler.step()
        # kept on the device, so that a GPU does not wait for the host at every step
        epoch.losses[step] = loss
        epoch.correct[step] = correct
        epoch.step = step + 1
        if after_step and after_step(epoch):
            is_enough = True
            break
    epoch.losses[-1:].cpu()  # waits until a GPU has done all steps
    epoch.train_seconds += time.perf_counter() - started
    return is_enough


def train_epoch(
    model: nn.Module,
    optimizer: optim.Optimizer,
    data: Split,
    config: RunConfig,
    scheduler: LRScheduler | None = None,
) -> Epoch:
    """Train one pass over `data`, in an order drawn from the global generator, and return the epoch."""
    epoch = Epoch.begin(data, config.batch_size)
    to_train(model, optimizer)
    train_steps(step_of(model, optimizer, data, config), scheduler, epoch, len(epoch.batches))
    return epoch


def build_model(config: RunConfig, state: RunState) -> nn.Module:
    """Return the model of `state`, in evaluation mode on the CPU."""
    model = new_model(config)
    model.load_state_dict(state.model)
    return model.eval()


def build(config: RunConfig) -> tuple[nn.Module, optim.Optimizer, LRScheduler | None]:
    """Return the config's model, optimizer and scheduler before the first step, on the config's device.

    The global generator initialises the model. The scheduler is None if the learning rate never changes.
    """
    model = new_model(config).to(config.device)
    if config.memory_format == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    fused = config.fused and config.device != "mps"  # on MPS, torch has fused kernels for some optimizers only
    optimizer = build_optimizer(config.optimizer, model.parameters(), fused)
    return model, optimizer, build_scheduler(config, optimizer)


def _metrics_of(epoch: Epoch, number: int, evaluated: Mapping[str, float]) -> EpochMetrics:
    sizes = epoch.sizes
    images = int(sizes.sum())
    return EpochMetrics(
        epoch=number,
        train_loss=float(epoch.losses.cpu().double() @ sizes.double()) / images,
        train_accuracy=int(epoch.correct.sum()) / images,
        train_seconds=epoch.train_seconds,
        evaluate_seconds=epoch.evaluate_seconds,
        images_per_second=images / epoch.train_seconds,
        **evaluated,
    )
