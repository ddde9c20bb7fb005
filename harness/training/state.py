"""RunState: all that is needed to go on, as a value: captured, restored, to bytes, hashed."""

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
    """An epoch of which some steps are trained, and others not.

    `order_seed` gives the order of all its batches. `losses` are those of the steps until now, float32 (steps,), and
    `correct` the images that each got right, int64 (steps,). The durations, in seconds, are of all these steps and
    of what was measured between them; they are no part of the hash.
    """

    order_seed: int
    losses: Tensor
    correct: Tensor
    train_seconds: float = 0.0
    evaluate_seconds: float = 0.0


NOT_HASHED = ("train_seconds", "evaluate_seconds")


@dataclass(frozen=True)
class RunState:
    """A run after `epoch` whole epochs, and what is trained of the next one, if any of it is (`begun`).

    Tensors are on the CPU; `rng` holds the states of the global generators. `config` is the canonical JSON of the
    run's config. `scheduler` is None where the learning rate never changes. A field that is added later has a
    default, with which it is left out of the hash, as in the states of before.
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
        """How many steps of the next epoch are trained."""
        return len(self.begun.losses) if self.begun else 0

    def to_bytes(self) -> bytes:
        """Serialised for a file or another process."""
        buffer = io.BytesIO()
        torch.save(self._values(), buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "RunState":
        """The state back, without unpickling anything but tensors and plain values.

        Raises:
            BadInputError: a later version wrote it.
        """
        values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if later := sorted(values.keys() - {field.name for field in fields(cls)}):
            raise BadInputError(
                "state",
                problem=f"with {', '.join(map(repr, later))} was written by a later version of the harness",
                expected="one of this version or an earlier one",
                next_step="use that version",
            )
        begun = values.get("begun")
        return cls(**values | {"begun": begun and EpochBegun(**begun)})

    def hash(self) -> str:
        """SHA-256 over every value and every tensor's dtype, shape and bits, hexadecimal."""
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
    """The state of a run after `epoch` whole epochs and what is `begun` of the next one, copied to the CPU."""
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
    """Put `state` into a freshly built model, optimizer and scheduler and into the generators.

    Raises:
        BadInputError: the state is another config's; the first field that differs is named.
    """
    for key, theirs, ours in differences(json.loads(state.config), json.loads(canonical_json(config))):
        raise BadInputError(
            "state",
            problem=f"is of another config, whose {key} is {theirs!r}",
            expected=f"{ours!r}, this run's",
            next_step="choose that run's own state",
        )
    model.load_state_dict(state.model)
    optimizer.load_state_dict(_to_cpu(state.optimizer))
    if scheduler is not None:
        scheduler.load_state_dict(_to_cpu(state.scheduler))
    restore_generators(state.rng, config.device, config.seed)


def _to_cpu(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Tensor):
        # laid out as it is: fused optimizers walk through a parameter and its moments as they lie in memory
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _to_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_to_cpu(item) for item in value)
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
