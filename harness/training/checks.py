"""Whether a user's own model and optimizer do what a run needs, tried on a few images before anything begins."""

import itertools
import logging
from collections.abc import Collection
from typing import Literal

import torch
from torch import Tensor, nn, optim
from torch.nn.parameter import is_lazy

from harness.config import AnyDatasetConfig, ConstantSchedule, OwnConfig, OwnModelConfig, RunConfig, with_settings
from harness.errors import BadInputError
from harness.training.data import known_classes
from harness.training.determinism import isolated
from harness.training.generators import seed_generators
from harness.training.guard import Thing, guarded, model_of
from harness.training.images import Split, Splits, normalize, shape_of
from harness.training.inputs import found_inputs, require_statistics, with_inputs
from harness.training.networks import gives_logits, new_model
from harness.training.optimizers import build_optimizer, class_of
from harness.training.resumable import require_resumable

logger = logging.getLogger(__name__)
IMAGES = 16  # that steps are tried on, in batches of
BATCH = 8
MOST_SIZES = 16  # batch sizes that are tried
Outputs = Literal["log_probabilities", "logits"]


def require_sound(config: RunConfig, data: Splits, batch_sizes: Collection[int] = ()) -> RunConfig:
    """Try what is a user's own of a run on the CPU, and return the config with what was found.

    That is the `model.outputs` of a user's own model, and the shape and classes of a user's own data. A registered
    part needs no trial run, but may need a package. `batch_sizes` are those that a study can draw beside the config's
    own.

    Raises:
        BadInputError: the optimizer's package is not installed; the network does not fit the data; the model can't be
            made, fails on a batch of a size that the run has, or gives neither logits nor log-probabilities of the
            data's classes; the optimizer can't be made, needs more than gradients and a closure, or has no rate for
            the schedule; two runs of one seed would differ, two seeds would not, or a run that was stopped would not
            go on as one that was left alone.
    """
    if not isinstance(config.optimizer, OwnConfig):
        class_of(config.optimizer)
    if not any(isinstance(part, OwnConfig) for part in (config.dataset, config.model, config.optimizer)):
        return config
    require_statistics(config.dataset, data)
    config = with_inputs(config, found_inputs(data))
    tried = with_settings(
        config,
        {
            "device": "cpu",
            "epochs": max(2, config.epochs),
            "precision": "float32",
            "batch_size": min(BATCH, config.batch_size),
        },
    )
    few = Split(data.train.images[:IMAGES].cpu(), data.train.labels[:IMAGES].cpu())
    with isolated(tried):
        seed_generators(tried.seed)
        model = _made_model(tried)
        outputs = _outputs(tried, model, few, data)
        if outputs == "logits" and not gives_logits(config.model):
            _, name = model_of(config)
            logger.warning(
                "harness: model %r gives logits: it is trained with cross-entropy, as model.outputs=logits says", name
            )
            config, tried = (with_settings(each, {"model.outputs": outputs}) for each in (config, tried))
        _require_batches(tried, config, model, data, batch_sizes)
        _require_optimizer(tried, model)
        require_resumable(tried, few)
    return config


def _made_model(config: RunConfig) -> nn.Module:
    with guarded(model_of(config), "can't be made with these values"):
        model = new_model(config)
        if not isinstance(model, nn.Module):
            raise TypeError(f"it is a {type(model).__name__}, expected a torch.nn.Module")
    tensors = itertools.chain(model.named_parameters(), model.named_buffers())
    lazy = list(dict.fromkeys(name.rpartition(".")[0] for name, each in tensors if is_lazy(each)))
    if lazy:
        raise BadInputError(
            *model_of(config),
            f"has lazy modules ({', '.join(lazy)}), whose sizes only a first pass decides",
            expected="sizes that are known when it is made",
            next_step="give them (such as nn.Linear(784, 10)), or pass one batch through the model at the end of its "
            "constructor",
        )
    return model


def _outputs(config: RunConfig, model: nn.Module, few: Split, data: Splits) -> Outputs:
    """What the model gives in training and in evaluation mode, which must be the same, and what the config says."""
    thing = model_of(config)
    found = {}
    for mode in ("evaluation", "training"):
        model.train(mode == "training")
        outputs = _passed(thing, model, few.images[:], config.dataset)
        _require_shape(thing, outputs, config, few, data)
        found[mode] = _kind(thing, outputs)
    if found["training"] != found["evaluation"]:
        raise BadInputError(
            *thing,
            f"gives {_words(found['training'])} in training mode, {_words(found['evaluation'])} in evaluation mode",
            expected="the same in both",
            next_step="let its forward end in one way",
        )
    said = config.model.outputs if isinstance(config.model, OwnModelConfig) else None
    if said not in (None, found["training"]):
        raise BadInputError(
            "model.outputs",
            said,
            "is not what the model gives",
            expected=_words(found["training"]),
            next_step="correct it, or leave it out",
        )
    return found["training"]


def _passed(thing: Thing, model: nn.Module, images: Tensor, dataset: AnyDatasetConfig) -> Tensor:
    with torch.no_grad(), guarded(thing, f"fails on {len(images)} images of shape {shape_of(images)}"):
        return model(normalize(images, dataset))  # type: ignore[no-any-return]


def _require_shape(thing: Thing, outputs: Tensor, config: RunConfig, few: Split, data: Splits) -> None:
    known = known_classes(config.dataset)
    classes = len(known) if known else found_inputs(data).classes
    is_wide = isinstance(outputs, Tensor) and outputs.dim() == 2 and len(outputs) == len(few)
    if not is_wide or outputs.shape[1] < classes or (known and outputs.shape[1] > classes):
        what = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise BadInputError(
            *thing,
            f"makes {what} of images {(len(few), *shape_of(few.images))}",
            expected=f"({len(few)}, {classes}{'' if known else ' or more'}), an output for each class",
            next_step="correct it",
        )


def _kind(thing: Thing, outputs: Tensor) -> Outputs:
    if not outputs.is_floating_point():
        raise BadInputError(*thing, f"gives {outputs.dtype}", expected="floating point", next_step="correct it")
    outputs = outputs.double()
    if _are_one(outputs.exp().sum(dim=1)):
        return "log_probabilities"
    if _are_one(outputs.sum(dim=1)) and bool((outputs >= 0).all()):
        raise BadInputError(
            *thing,
            "gives probabilities",
            expected="logits or log-probabilities",
            next_step="leave its softmax out, or let it end with log_softmax(dim=1)",
        )
    return "logits"


def _are_one(sums: Tensor) -> bool:
    return torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def _words(outputs: Outputs) -> str:
    return outputs.replace("_", "-")


def _require_batches(
    tried: RunConfig, config: RunConfig, model: nn.Module, data: Splits, batch_sizes: Collection[int]
) -> None:
    """Pass images through the model in batches of every size that the run has, the last one of an epoch included.

    Of many sizes the smallest, the largest and some between are tried.
    """
    thing = model_of(tried)
    for split, sizes, mode in (
        (data.train, {config.batch_size, *batch_sizes}, "training"),
        (data.validation, {config.evaluation_batch_size}, "evaluation"),
        (data.test, {config.evaluation_batch_size}, "evaluation"),
    ):
        model.train(mode == "training")
        by_size = {size: batch for batch in sorted(sizes) for size in _real_sizes(len(split), batch)}
        for size in _spread(sorted(by_size)):
            images = split.images[:size].cpu()
            with (
                torch.no_grad(),
                guarded(
                    thing,
                    f"fails in {mode} mode on a batch of {size} of {len(split)} images in batches of {by_size[size]}",
                    next_step="choose another batch size or number of images"
                    if size < by_size[size]
                    else "correct it",
                ),
            ):
                outputs = model(normalize(images, config.dataset))
                if outputs.shape[:1] != (size,) or outputs.dim() != 2:
                    raise ValueError(f"it gives {tuple(outputs.shape)}")


def _real_sizes(images: int, batch: int) -> set[int]:
    """Return the sizes of the batches of a pass over so many images."""
    return {min(batch, images), images % batch or batch} if images else set()


def _spread(sizes: list[int]) -> list[int]:
    """Return at most `MOST_SIZES` of sorted sizes, the ends among them."""
    if len(sizes) <= MOST_SIZES:
        return sizes
    step = (len(sizes) - 1) / (MOST_SIZES - 1)
    return [sizes[round(index * step)] for index in range(MOST_SIZES)]


def _require_optimizer(config: RunConfig, model: nn.Module) -> None:
    with guarded(("optimizer", config.optimizer.name), "can't be made with these values"):
        optimizer = build_optimizer(config.optimizer, model.parameters())
        if not isinstance(optimizer, optim.Optimizer):
            raise TypeError(f"it is a {type(optimizer).__name__}, expected a torch.optim.Optimizer")
    rates = [group.get("lr") for group in optimizer.param_groups]
    changes = config.schedule != ConstantSchedule()
    if changes and not all(isinstance(rate, float | int | Tensor) for rate in rates):
        raise BadInputError(
            "schedule",
            config.schedule.name,
            f"changes the learning rate, and optimizer {config.optimizer.name!r} has none under 'lr' ({rates[0]!r})",
            expected="schedule.name constant without warm-up, or an optimizer with a number as lr",
            next_step="choose one of the two",
        )
