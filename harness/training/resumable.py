"""Test in two short epochs whether runs with a user's own model or optimizer repeat, use the seed, and can resume."""

import re
from typing import Any

import torch
from torch import nn, optim
from torch.optim.lr_scheduler import LRScheduler

from harness.config import SEEDS, RunConfig
from harness.errors import BadInputError, described
from harness.training.attributes import differing_attributes
from harness.training.epoch import Epoch
from harness.training.evaluation import to_evaluate, to_train
from harness.training.generators import seed_generators
from harness.training.guard import guarded, model_of, own_parts_of
from harness.training.images import Split
from harness.training.loop import build, train_steps
from harness.training.measuring import measure_undisturbed
from harness.training.state import RunState, capture, restore
from harness.training.stepping import step_of

HALF = 1  # steps: half of an epoch of two steps
Built = tuple[nn.Module, optim.Optimizer, LRScheduler | None]
SOUND = (
    "a part with all its state in `state_dict()`, as tensors and plain values, that steps on gradients or a closure"
)
FROM_THE_BEGINNING = "its layers and parameter groups are those that its constructor makes"


def require_resumable(config: RunConfig, few: Split) -> None:
    """Train two epochs without a stop, again in parts that resume from stored states, and a step with another seed.

    Raises:
        BadInputError: two runs with one seed differ, two seeds give the same run, the state can't be stored, a model
            begins with what another has trained, has layers that nothing trains, or a resumed run would differ from
            an uninterrupted run.
    """
    things = own_parts_of(config)
    built = _built(config, config.seed)
    start = _captured(config, 0, *built)
    again = _built(config, config.seed)
    if differing := _differing_parts(start, _captured(config, 0, *again)) + _outside(built, again):
        raise BadInputError(
            *things,
            f"differs when it is built twice from seed {config.seed} ({', '.join(differing[:5])})",
            expected="two equal builds",
            next_step="let it draw from torch's, numpy's or Python's global generator, which the run's seed sets",
        )
    half = _trained(config, start, built, few, HALF)
    if half is None:
        return  # the run itself reports that it diverged
    try:
        stored = RunState.from_bytes(half.to_bytes())
    except Exception as error:
        unknown = re.search(r"GLOBAL (\S+) was not an allowed", str(error))  # in a long text of torch on safe loading
        why = f"it holds {unknown[1]}" if unknown else described(error)
        raise BadInputError(*things, f"has a state that can't be stored ({why})", expected=SOUND) from None
    first = _trained(config, half, built, few)
    whole = first and _trained(config, first, built, few)
    _require_layers_of_its_own(config, start, built[0])
    other = _built(config, (config.seed + 1) % SEEDS)
    other_start = _captured(config, 0, *other)
    _require_a_seed_that_acts(config, start, half, other_start, _trained(config, other_start, other, few, HALF))
    ended: RunState | None = stored
    for _ in ("cut within the first epoch", "cut at its end"):
        if ended is None:
            break
        # built from another seed, to reveal copies of the initial weights that are kept outside the state
        resumed = _built(config, (config.seed + 1) % SEEDS)
        with guarded(things, "can't be resumed from its own state", expected=f"{SOUND}; {FROM_THE_BEGINNING}"):
            restore(ended, config, *resumed)
        ended = _trained(config, ended, resumed, few, measured=True)
    kept = _outside(built, resumed)
    if kept or (whole and ended and whole.hash() != ended.hash()):
        what = (
            f"it keeps {', '.join(kept[:5])} outside its state"
            if kept
            else "something that decides its numbers is in no state dict, or is drawn from its own generator"
        )
        raise BadInputError(
            *things,
            f"would make a resumed run differ from an uninterrupted run: {what}",
            expected=SOUND,
        )


def _require_layers_of_its_own(config: RunConfig, start: RunState, trained: nn.Module) -> None:
    """Check that a model made after another was trained begins as that one did, and that all its layers are trained.

    A layer in the body of a class is no submodule, so no optimizer has its weights, though they get gradients.

    Raises:
        BadInputError: training has changed the layers of later models, or a layer of a class gets gradients.
    """
    if later := _differing_parts(start, _captured(config, 0, *_built(config, config.seed))):
        raise BadInputError(
            *model_of(config),
            f"begins with what an earlier model has trained ({', '.join(later[:5])})",
            expected="layers of its own in each model that it makes, since a sweep makes many",
            next_step="make them in its constructor, not only once or as a default argument",
        )
    kinds = {kind for module in trained.modules() for kind in type(module).__mro__}
    if untrained := sorted(name for kind in kinds for name, each in vars(kind).items() if _has_gradients(each)):
        raise BadInputError(
            *model_of(config),
            f"has layers in the body of a class ({', '.join(untrained[:5])}), which no optimizer trains",
            expected="layers that its constructor makes",
            next_step="make them in its constructor, or freeze them with requires_grad_(False)",
        )


def _has_gradients(value: object) -> bool:
    parameters = value.parameters() if isinstance(value, nn.Module) else [value]
    return any(isinstance(each, nn.Parameter) and each.grad is not None for each in parameters)


def _built(config: RunConfig, seed: int) -> Built:
    seed_generators(seed)
    with guarded(own_parts_of(config), f"can't be made from seed {seed}"):
        return build(config)


def _captured(config: RunConfig, epoch: int, *parts: Any) -> RunState:  # noqa: ANN401
    """Return the state after `epoch` whole epochs; `parts` are the further arguments of `capture`."""
    with guarded(own_parts_of(config), "has a state that can't be read", expected=SOUND):
        return capture(config, epoch, *parts)


def _trained(
    config: RunConfig, before: RunState, built: Built, few: Split, steps: int | None = None, measured: bool = False
) -> RunState | None:
    """Return the state after `steps` more steps, or after the epoch; None if it diverged.

    With `measured`, the model is evaluated before the first of these steps.
    """
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
            return _captured(config, before.epoch, model, optimizer, scheduler, epoch.begun)
        to_evaluate(model, optimizer)
    return _captured(config, before.epoch + 1, model, optimizer, scheduler)


def _require_a_seed_that_acts(
    config: RunConfig, start: RunState, half: RunState, other_start: RunState, other_half: RunState | None
) -> None:
    """Check that two seeds give different generator states; initial weights may be equal, such as zeros.

    Raises:
        BadInputError: the generator states of two seeds are equal.
    """
    pairs = ((start, other_start), (half, other_half))
    if any(other is not None and torch.equal(one.rng["cpu"], other.rng["cpu"]) for one, other in pairs):
        raise BadInputError(
            *own_parts_of(config),
            f"gives the same run for the seeds {config.seed} and {(config.seed + 1) % SEEDS}, so all its finals "
            "would be copies of one run",
            expected="random numbers that depend on the run's seed",
            next_step="remove torch.manual_seed and similar calls from it",
        )


def _differing_parts(one: RunState, other: RunState) -> list[str]:
    parts = ("model", "optimizer", "rng")
    return [name for part in parts for name in differing_attributes(getattr(one, part), getattr(other, part))]


def _outside(one: Built, other: Built) -> list[str]:
    """Return the attributes of model and optimizer that differ and are not in their state dicts."""
    parts = (("model", one[0], other[0]), ("optimizer", one[1], other[1]))
    names = [f"{part}.{name}" for part, ours, theirs in parts for name in differing_attributes(ours, theirs)]
    return [name for name in names if not name.startswith("optimizer.state_dict()")]
