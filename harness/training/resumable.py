"""Whether runs with a user's own model or optimizer repeat, differ by seed and go on, tried in two short epochs."""

import torch
from torch import nn, optim
from torch.optim.lr_scheduler import LRScheduler

from harness.config import RunConfig
from harness.errors import BadInputError, described
from harness.training.attributes import differing_attributes
from harness.training.epoch import Epoch
from harness.training.evaluation import to_evaluate, to_train
from harness.training.generators import seed_generators
from harness.training.guard import guarded, own_parts_of
from harness.training.images import Split
from harness.training.loop import build, train_steps
from harness.training.measuring import measure_undisturbed
from harness.training.state import RunState, capture, restore
from harness.training.stepping import step_of

SEEDS = 2**64
HALF = 1  # of the two steps of an epoch
Built = tuple[nn.Module, optim.Optimizer, LRScheduler | None]
SOUND = "what steps on gradients, or with a closure, and has its state in `state_dict()`, as tensors and plain values"


def require_resumable(config: RunConfig, few: Split) -> None:
    """Train two epochs at once, again in parts that begin with stored states, and a step with another seed."""
    things = own_parts_of(config)
    built = _built(config, config.seed)
    start = capture(config, 0, *built)
    again = _built(config, config.seed)
    if differing := _differing_parts(start, capture(config, 0, *again)) + _outside(built, again):
        raise BadInputError(
            *things,
            f"of which two builds from seed {config.seed} differ ({', '.join(differing[:5])})",
            expected="the same",
            next_step="let it draw from torch's, numpy's or Python's global generator, which the run's seed sets",
        )
    half = _trained(config, start, built, few, HALF)
    if half is None:
        return  # it diverged, which a run may, and says so
    try:
        stored = RunState.from_bytes(half.to_bytes())
    except Exception as error:
        raise BadInputError(
            *things, f"of which the state can't be stored ({described(error)})", expected=SOUND
        ) from None
    first = _trained(config, half, built, few)
    whole = first and _trained(config, first, built, few)
    other = _built(config, (config.seed + 1) % SEEDS)
    other_start = capture(config, 0, *other)
    _require_a_seed_that_acts(config, start, half, other_start, _trained(config, other_start, other, few, HALF))
    ended: RunState | None = stored
    for _ in ("cut within the first epoch", "cut at its end"):
        if ended is None:
            break
        # built from another seed: what it copied of its first weights, and keeps for itself, is then seen
        resumed = _built(config, (config.seed + 1) % SEEDS)
        restore(ended, config, *resumed)
        ended = _trained(config, ended, resumed, few, measured=True)
    kept = _outside(built, resumed)
    if kept or (whole and ended and whole.hash() != ended.hash()):
        what = (
            f"it keeps {', '.join(kept[:5])} outside its state"
            if kept
            else "something that decides its numbers is in no state dict, or drawn from a generator of its own"
        )
        raise BadInputError(
            *things,
            f"of which a run that was stopped would not go on as one that was left alone, since {what}",
            expected=SOUND,
        )


def _built(config: RunConfig, seed: int) -> Built:
    seed_generators(seed)
    with guarded(own_parts_of(config), f"can't be made from seed {seed}"):
        return build(config)


def _trained(
    config: RunConfig, before: RunState, built: Built, few: Split, steps: int | None = None, measured: bool = False
) -> RunState | None:
    """The state after so many more steps, or after the epoch; None where it diverged. It may be `measured` before."""
    model, optimizer, scheduler = built
    with guarded(own_parts_of(config), "fails in a step", expected=SOUND):
        size = config.batch_size
        epoch = Epoch.go_on(few, size, before.begun) if before.begun else Epoch.begin(few, size)
        whole = len(epoch.batches)
        to_train(model, optimizer)
        if measured:
            measure_undisturbed(model, optimizer, few, config)
        last = min(epoch.step + (steps or whole), whole)
        train_steps(step_of(model, optimizer, few, config), scheduler, epoch, last)
        if epoch.diverged_at is not None:
            return None
        if epoch.step < whole:
            return capture(config, before.epoch, model, optimizer, scheduler, epoch.begun)
        to_evaluate(model, optimizer)
    return capture(config, before.epoch + 1, model, optimizer, scheduler)


def _require_a_seed_that_acts(
    config: RunConfig, start: RunState, half: RunState, other_start: RunState, other_half: RunState | None
) -> None:
    """Refuse a seed that leaves the generators alone. The first weights may be the same: they may be zeros."""
    pairs = ((start, other_start), (half, other_half))
    if any(other is not None and torch.equal(one.rng["cpu"], other.rng["cpu"]) for one, other in pairs):
        raise BadInputError(
            *own_parts_of(config),
            f"of which seeds {config.seed} and {(config.seed + 1) % SEEDS} give the same run, so that its finals "
            "would be one run told several times",
            expected="a seed that acts",
            next_step="leave torch.manual_seed and the like out of it",
        )


def _differing_parts(one: RunState, other: RunState) -> list[str]:
    parts = ("model", "optimizer", "rng")
    return [name for part in parts for name in differing_attributes(getattr(one, part), getattr(other, part))]


def _outside(one: Built, other: Built) -> list[str]:
    """The attributes of model and optimizer that differ and that their own state dicts don't have."""
    parts = (("model", one[0], other[0]), ("optimizer", one[1], other[1]))
    names = [f"{part}.{name}" for part, ours, theirs in parts for name in differing_attributes(ours, theirs)]
    return [name for name in names if not name.startswith("optimizer.state_dict()")]
