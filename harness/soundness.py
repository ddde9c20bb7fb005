"""Whether a user's own model and optimizer do what a run needs, tried on a few images before anything begins."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn, optim

from harness.config import OwnConfig, RunConfig, with_settings
from harness.data import Split, Splits, normalize
from harness.errors import BadInputError
from harness.model import new_model
from harness.optimizers import build_optimizer
from harness.reproducibility import isolated
from harness.state import RunState
from harness.training import advance, initial_state

IMAGES = 16
Made = TypeVar("Made")


def require_sound(config: RunConfig, data: Splits) -> None:
    """Try what is a user's own of a run on the CPU; what is ours needs no trying.

    Raises:
        BadInputError: the model gives no log-probabilities of the data's classes, the optimizer can't be made or
            needs more than gradients, or a run that was stopped would not go on as one that was left alone, because
            something is not in a state dict, or can't be stored.
    """
    if not any(isinstance(part, OwnConfig) for part in (config.dataset, config.model, config.optimizer)):
        return
    config = with_settings(config, {"device": "cpu", "epochs": max(2, config.epochs), "precision": "float32"})
    few = Split(data.train.images[:IMAGES].cpu(), data.train.labels[:IMAGES].cpu())
    with isolated(config):
        torch.manual_seed(config.seed)
        name = config.model.name if isinstance(config.model, OwnConfig) else "the chapter's"
        model = _made("model", name, config, _make_model)
        _require_log_probabilities(name, model, few, _classes(data))
        _made("optimizer", config.optimizer.name, config, lambda each: _make_optimizer(each, model))
    _require_resumable(config, Splits(few, few, few, data.digest, data.source))


def _make_model(config: RunConfig) -> nn.Module:
    model = new_model(config.model)
    if not isinstance(model, nn.Module):
        raise TypeError(f"it is a {type(model).__name__}, a torch.nn.Module is allowed")
    return model


def _make_optimizer(config: RunConfig, model: nn.Module) -> optim.Optimizer:
    optimizer = build_optimizer(config.optimizer, model.parameters())
    if not isinstance(optimizer, optim.Optimizer):
        raise TypeError(f"it is a {type(optimizer).__name__}, a torch.optim.Optimizer is allowed")
    return optimizer


def _made(part: str, name: str, config: RunConfig, make: Callable[[RunConfig], Made]) -> Made:
    try:
        return make(config)
    except Exception as error:
        raise _unusable(part, name, f"can't be made with these values ({_short(error)})") from None


def _require_log_probabilities(name: str, model: nn.Module, few: Split, classes: int) -> None:
    shape = tuple(normalize(few.images).shape)
    try:
        with torch.no_grad():
            output = model.eval()(normalize(few.images))
    except Exception as error:
        raise _unusable("model", name, f"fails on images of shape {shape} ({_short(error)})") from None
    if not isinstance(output, Tensor) or output.dim() != 2 or len(output) != len(few) or output.shape[1] < classes:
        what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise _unusable("model", name, f"makes {what} of images {shape}; ({len(few)}, {classes} or more) is allowed")
    if not torch.allclose(output.exp().sum(dim=1), torch.ones(len(few)), atol=1e-3):
        raise _unusable("model", name, "gives no log-probabilities; let it end with log_softmax(dim=1)")


def _require_resumable(config: RunConfig, few: Splits) -> None:
    """Two epochs at once and in two slices, the state between them stored, must be the same."""
    owns = [part.name for part in (config.model, config.optimizer) if isinstance(part, OwnConfig)]
    names = " and ".join(map(repr, owns)) or repr(config.dataset.name)
    start = initial_state(config)
    try:
        whole = advance(config, start, few, 2, [])
        half = advance(config, start, few, 1, [])
    except BadInputError:
        raise
    except Exception as error:
        raise BadInputError(f"{names}: a step fails ({_short(error)}); {_ALLOWED}") from None
    if whole.divergence or half.divergence:
        return  # which a run may, and says so
    try:
        stored = RunState.from_bytes(half.state.to_bytes())
    except Exception as error:
        raise BadInputError(f"{names}: the state can't be stored ({_short(error)}); {_ALLOWED}") from None
    if advance(config, stored, few, 1, []).state.hash() != whole.state.hash():
        raise BadInputError(
            f"{names}: a run that was stopped would not go on as one that was left alone, so something that decides "
            f"its numbers is in no state dict, or drawn from a generator of its own; {_ALLOWED}"
        )


_ALLOWED = "what steps on gradients and has its state in `state_dict()`, as tensors and plain values, is allowed"


def _classes(data: Splits) -> int:
    return 1 + max(int(split.labels.max()) for split in (data.train, data.validation, data.test) if len(split))


def _unusable(part: str, name: str, what: str) -> BadInputError:
    return BadInputError(f"{part} {name!r} {what}; correct it")


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
