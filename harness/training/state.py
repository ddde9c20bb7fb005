"""Define the state of a run, from which it can resume: capture, restore, serialise and hash it."""

import hashlib
import io
import json
from dataclasses import MISSING, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim.lr_scheduler import LRScheduler

from harness.config import RunConfig, canonical_json, differences
from harness.errors import BadInputError
from harness.training.generators import generator_states, restore_generators


@dataclass(frozen=True)
class EpochBegun:
    """Hold an epoch of which only some steps are trained.

    `order_seed` decides the order of all its batches. For the trained steps, `losses`, float32 (steps,), are their
    mean losses, and `correct`, int64 (steps,), their numbers of correct images. The durations, in seconds, are of
    these steps and of the evaluations between them; they are not part of the hash.
    """

    order_seed: int
    losses: Tensor
    correct: Tensor
    train_seconds: float = 0.0
    evaluate_seconds: float = 0.0


NOT_HASHED = ("train_seconds", "evaluate_seconds")


@dataclass(frozen=True)
class RunState:
    """Hold a run after `epoch` whole epochs, and the trained part of the next epoch (`begun`, None if there is none).

    Tensors are on the CPU; `rng` holds the states of the global generators. `config` is the canonical JSON of the
    run's config. `scheduler` is None if the learning rate never changes. A field that is added later needs a default;
    a field that equals its default is left out of the hash, so that older states keep their hash.
    """

    config: str
    epoch: int
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    rng: dict[str, Any]
    scheduler: dict[str, Any] | None = None
    begun: EpochBegun | None = None

    @property
    def step(self) -> int:
        """Return the number of trained steps of the next epoch."""
        return len(self.begun.losses) if self.begun else 0

    def to_bytes(self) -> bytes:
        """Return the state as bytes, for a file or another process."""
        buffer = io.BytesIO()
        torch.save(self._values(), buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "RunState":
        """Return the state from the bytes of `to_bytes`, unpickling only tensors and plain values.

        Raises:
            BadInputError: a later version wrote the state.
        """
        values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if later := sorted(values.keys() - {field.name for field in fields(cls)}):
            raise BadInputError(
                "state",
                problem=f"with {', '.join(map(repr, later))} was written by a later version of the harness",
                expected="a state of this version or an earlier one",
                next_step="use the later version",
            )
        begun = values.get("begun")
        return cls(**values | {"begun": begun and EpochBegun(**begun)})

    def hash(self) -> str:
        """Return the SHA-256, in hexadecimal, over every value and every tensor's dtype, shape and bits."""
        digest = hashlib.sha256()
        values = self._values()
        for field in fields(self):
            if field.default is not MISSING and values[field.name] == field.default:
                del values[field.name]
        if self.begun is not None:
            values["begun"] = {key: each for key, each in values["begun"].items() if key not in NOT_HASHED}
        _update(digest, values)
        return digest.hexdigest()

    def _values(self) -> dict[str, Any]:
        return vars(self) | {"begun": self.begun and vars(self.begun)}


def capture(
    config: RunConfig,
    epoch: int,
    model: nn.Module,
    optimizer: optim.Optimizer,
    scheduler: LRScheduler | None = None,
    begun: EpochBegun | None = None,
) -> RunState:
    """Return the state of a run after `epoch` whole epochs and the `begun` part of the next, copied to the CPU."""
    return RunState(
        config=canonical_json(config),
        epoch=epoch,
        model=_to_cpu(model.state_dict()),
        optimizer=_to_cpu(optimizer.state_dict()),
        rng=generator_states(config.device, config.seed),
        scheduler=None if scheduler is None else _to_cpu(scheduler.state_dict()),
        begun=begun,
    )


def restore(
    state: RunState,
    config: RunConfig,
    model: nn.Module,
    optimizer: optim.Optimizer,
    scheduler: LRScheduler | None = None,
) -> None:
    """Load `state` into a newly built model, optimizer and scheduler, and into the global generators.

    Raises:
        BadInputError: the state belongs to another config; the message names the first field that differs.
    """
    for key, theirs, ours in differences(json.loads(state.config), json.loads(canonical_json(config))):
        raise BadInputError(
            "state",
            problem=f"is of another config, whose {key} is {theirs!r}",
            expected=f"{ours!r}, as in this run",
            next_step="choose a state of this run",
        )
    model.load_state_dict(state.model)
    optimizer.load_state_dict(_to_cpu(state.optimizer))
    if scheduler is not None:
        scheduler.load_state_dict(_to_cpu(state.scheduler))
    restore_generators(state.rng, config.device, config.seed)


def _to_cpu(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Tensor):
        # keep the memory layout: fused optimizers pair the values of a parameter and its moments by memory order
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _to_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        make = getattr(value, "_make", type(value))  # a named tuple takes its items one by one
        return make(_to_cpu(item) for item in value)
    return value


def _update(digest: "hashlib._Hash", value: Any) -> None:  # noqa: ANN401
    if isinstance(value, Tensor):
        digest.update(f"tensor {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            digest.update(f"key {key!r}\n".encode())
            _update(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"sequence {len(value)}\n".encode())
        for item in value:
            _update(digest, item)
    else:
        digest.update(f"{value!r}\n".encode())
