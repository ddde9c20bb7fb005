"""Check on a few images, before any training, that a user's own model and optimizer do what a run needs."""

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
IMAGES = 16  # images of the steps that are tested
BATCH = 8  # images of a batch of these steps
MOST_SIZES = 16  # the most batch sizes that are tested
NOISE = 0.1  # s.d. of what is added to equal weights, to see whether outputs stay log-probabilities
Outputs = Literal["log_probabilities", "logits"]


def require_sound(config: RunConfig, data: Splits, batch_sizes: Collection[int] = ()) -> RunConfig:
    """Test the user's own parts of a run on the CPU, and return the config with the properties that were found.

    These are `model.outputs` of a user's own model, and the shape and number of classes of a user's own data. A
    built-in part is not tested, but may need a package. `batch_sizes` are the batch sizes that a study can draw
    beside the config's own.

    Raises:
        BadInputError: the optimizer's package is not installed; the network does not fit the data; the model can't be
            built, fails on a batch size of the run, or returns neither logits nor log-probabilities of the data's
            classes; the optimizer can't be built, needs more than gradients and a closure, or has no learning rate
            for the schedule; two runs with one seed would differ, two seeds would give the same run, a model would
            begin with what another has trained or has layers that nothing trains, or a resumed run would differ from
            an uninterrupted run.
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
                "harness: model %r returns logits, so it is trained with cross-entropy (model.outputs=logits)", name
            )
            config, tried = (with_settings(each, {"model.outputs": outputs}) for each in (config, tried))
        _require_batches(tried, config, model, data, batch_sizes)
        _require_optimizer(tried, model)
        require_resumable(tried, few)
    return config


def _made_model(config: RunConfig) -> nn.Module:
    with guarded(model_of(config), "can't be built with these values"):
        model = new_model(config)
        if not isinstance(model, nn.Module):
            raise TypeError(f"it is a {type(model).__name__}, expected a torch.nn.Module")
        tensors = [*model.named_parameters(), *model.named_buffers()]
    lazy = list(dict.fromkeys(name.rpartition(".")[0] for name, each in tensors if is_lazy(each)))
    if lazy:
        raise BadInputError(
            *model_of(config),
            f"has lazy modules ({', '.join(lazy)}), which get their sizes only from a first batch",
            expected="sizes that are known when the model is built",
            next_step="give the sizes (such as nn.Linear(784, 10)), or pass one batch through the model at the end "
            "of its constructor",
        )
    return model


def _outputs(config: RunConfig, model: nn.Module, few: Split, data: Splits) -> Outputs:
    """Return the kind of outputs that the model returns.

    Raises:
        BadInputError: the kind is neither of the two, differs between training and evaluation mode, or differs from
            the config's `model.outputs`.
    """
    thing = model_of(config)
    found = {}
    for mode in ("evaluation", "training"):
        _set_mode(thing, model, mode)
        outputs = _passed(thing, model, few.images[:], config.dataset)
        _require_shape(thing, outputs, config, few, data)
        found[mode] = _kind(thing, outputs, mode)
        if found[mode] == "log_probabilities" and not _stay_normalised(model, few, config):
            found[mode] = "logits"
    if found["training"] != found["evaluation"]:
        raise BadInputError(
            *thing,
            f"returns {_words(found['training'])} in training mode, {_words(found['evaluation'])} in evaluation mode",
            expected="the same kind of outputs in both modes",
            next_step="correct its forward",
        )
    said = config.model.outputs if isinstance(config.model, OwnModelConfig) else None
    if said not in (None, found["training"]):
        raise BadInputError(
            "model.outputs",
            said,
            "is not what the model returns",
            expected=_words(found["training"]),
            next_step="correct the setting, or leave it out",
        )
    return found["training"]


def _stay_normalised(model: nn.Module, few: Split, config: RunConfig) -> bool:
    """Return whether outputs that are log-probabilities are so with other weights too.

    Logits may be normalised at first: with zero weights in the last layer, and class frequencies as its biases. So
    noise is added to weights that all have one value. A model that then fails may have weights that must be positive.
    """
    drawn = torch.Generator().manual_seed(0)
    before: list[tuple[nn.Parameter, Tensor]] = []
    try:
        with torch.no_grad():
            for each in model.parameters():
                if each.is_floating_point() and each.numel() and bool((each == each.flatten()[0]).all()):
                    before.append((each, each.detach().clone()))
                    each.add_(NOISE * torch.randn(each.shape, generator=drawn).to(each.dtype))
            outputs = model(normalize(few.images[:], config.dataset)).double()
    except Exception:
        return True
    finally:
        with torch.no_grad():
            for changed, value in before:
                changed.copy_(value)
    return not bool(outputs.isfinite().all()) or _are_one(outputs.exp().sum(dim=1))


def _set_mode(thing: Thing, model: nn.Module, mode: str) -> None:
    with guarded(thing, f"can't be put into {mode} mode"):
        model.train(mode == "training")


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
            f"returns {what} for images {(len(few), *shape_of(few.images))}",
            expected=f"({len(few)}, {classes}{'' if known else ' or more'}), one output per class",
            next_step="correct the model",
        )


def _kind(thing: Thing, outputs: Tensor, mode: str) -> Outputs:
    if not outputs.is_floating_point():
        raise BadInputError(
            *thing, f"returns {outputs.dtype}", expected="floating-point outputs", next_step="correct the model"
        )
    outputs = outputs.double()
    if bool(outputs.isnan().any()):
        raise BadInputError(
            *thing,
            f"returns nan in {mode} mode, for {int(outputs.isnan().any(dim=1).sum())} of {len(outputs)} images",
            expected="numbers",
            next_step="look for a division by 0, or the logarithm or root of a negative number, in its forward",
        )
    if _are_one(outputs.exp().sum(dim=1)):
        return "log_probabilities"
    if _are_one(outputs.sum(dim=1)) and bool((outputs >= 0).all()):
        raise BadInputError(
            *thing,
            "returns probabilities",
            expected="logits or log-probabilities",
            next_step="remove its softmax, or end it with log_softmax(dim=1)",
        )
    return "logits"


def _are_one(sums: Tensor) -> bool:
    return torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def _words(outputs: Outputs) -> str:
    return outputs.replace("_", "-")


def _require_batches(
    tried: RunConfig, config: RunConfig, model: nn.Module, data: Splits, batch_sizes: Collection[int]
) -> None:
    """Pass images through the model in batches of every size of the run, including the last batch of an epoch.

    If there are many sizes, the smallest, the largest and some between are tested.

    Raises:
        BadInputError: the model fails on a batch, or returns outputs of another shape than (size, classes).
    """
    thing = model_of(tried)
    for split, sizes, mode in (
        (data.train, {config.batch_size, *batch_sizes}, "training"),
        (data.validation, {config.evaluation_batch_size}, "evaluation"),
        (data.test, {config.evaluation_batch_size}, "evaluation"),
    ):
        _set_mode(thing, model, mode)
        by_size = {size: batch for batch in sorted(sizes) for size in _real_sizes(len(split), batch)}
        for size in _spread(sorted(by_size)):
            images = split.images[:size].cpu()
            with (
                torch.no_grad(),
                guarded(
                    thing,
                    f"fails in {mode} mode on a batch of {size} of {len(split)} images in batches of {by_size[size]}",
                    next_step=_next_step(mode, size, by_size[size]),
                ),
            ):
                outputs = model(normalize(images, config.dataset))
                if outputs.shape[:1] != (size,) or outputs.dim() != 2:
                    raise ValueError(f"it returns {tuple(outputs.shape)}")


def _next_step(mode: str, size: int, batch: int) -> str:
    if mode == "training" and size == 1:
        return (
            "choose a batch_size and a dataset.train_size that leave no batch of 1 image, which layers such as "
            "BatchNorm can't train on"
        )
    return "choose another batch size or number of images" if size < batch else "correct your code"


def _real_sizes(images: int, batch: int) -> set[int]:
    """Return the different sizes of the batches of one pass over `images` images."""
    return {min(batch, images), images % batch or batch} if images else set()


def _spread(sizes: list[int]) -> list[int]:
    """Return at most `MOST_SIZES` of the sorted sizes, including the smallest and the largest."""
    if len(sizes) <= MOST_SIZES:
        return sizes
    step = (len(sizes) - 1) / (MOST_SIZES - 1)
    return [sizes[round(index * step)] for index in range(MOST_SIZES)]


def _require_optimizer(config: RunConfig, model: nn.Module) -> None:
    with guarded(("optimizer", config.optimizer.name), "can't be built with these values"):
        optimizer = build_optimizer(config.optimizer, model.parameters())
        if not isinstance(optimizer, optim.Optimizer):
            raise TypeError(f"it is a {type(optimizer).__name__}, expected a torch.optim.Optimizer")
        rates = [group.get("lr") for group in optimizer.param_groups]
    changes = config.schedule != ConstantSchedule()
    if changes and not all(isinstance(rate, float | int | Tensor) for rate in rates):
        raise BadInputError(
            "schedule",
            config.schedule.name,
            f"changes the learning rate, but the 'lr' of optimizer {config.optimizer.name!r} is {rates[0]!r}",
            expected="schedule.name constant without warm-up, or an optimizer with a number as lr",
            next_step="choose one of the two",
        )
