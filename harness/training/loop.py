"""The training loop: (config, state, data) -> (state, metrics). No files, no tracking, no terminal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F  # noqa: N812
from torch.optim.lr_scheduler import LRScheduler

from harness.config import RunConfig
from harness.records import Divergence, EpochMetrics, Mistakes
from harness.training.augmentation import build_augmentation
from harness.training.data import class_names
from harness.training.determinism import isolated
from harness.training.generators import seed_generators
from harness.training.images import Split, Splits, normalize
from harness.training.mistakes import find_mistakes
from harness.training.networks import gives_logits, log_probabilities, new_model
from harness.training.optimizers import build_optimizer
from harness.training.order import epoch_order, skip_evaluation_pass
from harness.training.schedules import build_scheduler
from harness.training.state import RunState, capture, restore

EvaluationSplit = Literal["validation", "test"]


@dataclass(frozen=True)
class Slice:
    """What `advance` returns. After a divergence `state` is that of the last whole epoch.

    `mistakes` are those of the config's last epoch, where it was evaluated on the test set.
    """

    state: RunState
    metrics: tuple[EpochMetrics, ...]
    divergence: Divergence | None = None
    mistakes: Mistakes | None = None


def initial_state(config: RunConfig) -> RunState:
    """The state before the first epoch: one seed, then the model's initialisation, as the chapter does it."""
    with isolated(config):
        seed_generators(config.seed)
        return capture(config, 0, *build(config))


def advance(
    config: RunConfig, state: RunState, data: Splits, epochs: int, evaluate_on: Sequence[EvaluationSplit]
) -> Slice:
    """Train `epochs` more epochs from `state`, evaluating each of them on the named splits."""
    with isolated(config):
        model, optimizer, scheduler = build(config)
        restore(state, config, model, optimizer, scheduler)
        metrics: list[EpochMetrics] = []
        mistakes = None
        for epoch in range(state.epoch + 1, state.epoch + epochs + 1):
            started = time.perf_counter()
            losses, correct, sizes = train_epoch(model, optimizer, data.train, config, scheduler)
            to_evaluate(model, optimizer)
            diverged = (~losses.isfinite()).nonzero()
            train_seconds = time.perf_counter() - started
            if len(diverged):
                return Slice(state, tuple(metrics), Divergence(epoch=epoch, step=int(diverged[0]), split="train"))

            started = time.perf_counter()
            evaluated: dict[str, float] = {}
            for name in evaluate_on:
                split = getattr(data, name)
                loss, accuracy, outputs = evaluate(model, split, config)
                if loss == float("inf") or loss != loss:
                    return Slice(state, tuple(metrics), Divergence(epoch=epoch, step=len(losses), split=name))
                evaluated |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
                if name == "test" and epoch == config.epochs:
                    mistakes = find_mistakes(outputs, split, class_names(config.dataset, outputs.shape[1]))
            skip_evaluation_pass()
            metrics.append(
                EpochMetrics(
                    epoch=epoch,
                    train_loss=float(losses.double() @ sizes.double()) / len(data.train),
                    train_accuracy=correct / len(data.train),
                    train_seconds=train_seconds,
                    evaluate_seconds=time.perf_counter() - started,
                    images_per_second=len(data.train) / train_seconds,
                    **evaluated,
                )
            )
            state = capture(config, epoch, model, optimizer, scheduler)
        return Slice(state, tuple(metrics), mistakes=mistakes)


def train_epoch(
    model: nn.Module,
    optimizer: optim.Optimizer,
    data: Split,
    config: RunConfig,
    scheduler: LRScheduler | None = None,
) -> tuple[Tensor, int, Tensor]:
    """One pass over `data`. Returns the loss of every step (steps,), images right, and batch sizes (steps,)."""
    model.train()
    _call_if_there(optimizer, "train")
    augment = build_augmentation(config.augmentation)
    batches = epoch_order(len(data)).to(data.images.device).split(config.batch_size)
    # filled in place: a small tensor kept of every step would keep the allocator from joining what it frees
    losses = torch.empty(len(batches), device=data.images.device)
    correct = torch.zeros((), dtype=torch.int64, device=data.images.device)
    for step, batch in enumerate(batches):
        images, labels = data.images[batch], data.labels[batch]
        outputs = _forward(model, augment(images) if augment else images, config)
        loss = _training_loss(outputs, labels, config)
        optimizer.zero_grad()
        loss.backward()
        if config.gradient_clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip_norm)
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses[step] = loss.detach()
        correct += (outputs.detach().argmax(dim=1) == labels).sum()
    # read once an epoch, so that a GPU is not made to wait for the host at every step
    return losses.cpu(), int(correct), torch.tensor([len(batch) for batch in batches])


@torch.no_grad()
def evaluate(model: nn.Module, data: Split, config: RunConfig) -> tuple[float, float, Tensor]:
    """Over all images of `data`, the last, smaller batch included: mean loss (nats), accuracy, log-probabilities.

    The accuracy is a fraction, the log-probabilities are (n, 10).
    """
    model.eval()
    images = data.images.split(config.evaluation_batch_size)
    losses = torch.empty(len(images), device=data.images.device)
    correct = torch.zeros((), dtype=torch.int64, device=data.images.device)
    outputs = []
    for batch, labels in enumerate(data.labels.split(config.evaluation_batch_size)):
        of_batch = log_probabilities(_forward(model, images[batch], config), config.model)
        losses[batch] = F.nll_loss(of_batch, labels, reduction="sum")
        correct += (of_batch.argmax(dim=1) == labels).sum()
        outputs.append(of_batch)
    return sum(losses.tolist()) / len(data), int(correct) / len(data), torch.cat(outputs)


def build_model(config: RunConfig, state: RunState) -> nn.Module:
    """The model of `state`, in evaluation mode on the CPU."""
    model = new_model(config.model)
    model.load_state_dict(state.model)
    return model.eval()


def build(config: RunConfig) -> tuple[nn.Module, optim.Optimizer, LRScheduler | None]:
    """All of a config before its first step, on its device, the model from the global generator."""
    model = new_model(config.model).to(config.device)
    if config.memory_format == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    fused = config.fused and config.device != "mps"  # where torch has kernels for some of its optimizers alone
    optimizer = build_optimizer(config.optimizer, model.parameters(), fused)
    return model, optimizer, build_scheduler(config, optimizer)


def to_evaluate(model: nn.Module, optimizer: optim.Optimizer) -> None:
    """Put both into evaluation mode: a schedule-free optimizer then gives the model the weights that it is judged by.

    Between epochs a run is in this mode, so that a kept state holds these weights.
    """
    model.eval()
    _call_if_there(optimizer, "eval")


def _call_if_there(optimizer: optim.Optimizer, method: str) -> None:
    """Call what only some optimizers have, the schedule-free ones (Defazio et al. 2024)."""
    if callable(found := getattr(optimizer, method, None)):
        found()


def _training_loss(outputs: Tensor, labels: Tensor, config: RunConfig) -> Tensor:
    """Return the mean over the batch. Cross-entropy takes log-probabilities, too: their softmax is themselves."""
    if config.label_smoothing or gives_logits(config.model):
        return F.cross_entropy(outputs, labels, label_smoothing=config.label_smoothing)
    return F.nll_loss(outputs, labels)


def _forward(model: nn.Module, images: Tensor, config: RunConfig) -> Tensor:
    x = normalize(images)
    if config.memory_format == "channels_last" and x.dim() == 4:  # features of a table have no channels
        x = x.contiguous(memory_format=torch.channels_last)
    if config.precision == "float32":
        return model(x)  # type: ignore[no-any-return]
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        return model(x).float()  # type: ignore[no-any-return]
