"""Define the default search spaces of optimizers and networks, with the evidence for each range.

A space grows with the budget, as the Deep Learning Tuning Playbook advises: under 10 trials, it has only the learning
rate; from 10 trials, also the first decay; from 26 trials, also ε and other values that matter little. Each study
tries `start` first: the chapter's value, the value that the optimizer's authors recommend, or torch's default. Decays
near 1 are searched as 1 - decay.
"""

from collections.abc import Mapping
from typing import Any

from harness.config import DATASETS, RATE_KEYS, RATES, FrozenModel
from harness.config.arguments import defaults
from harness.errors import BadInputError
from studies.space import Choice, Range, Space, overlap

SOME, MANY = 10, 26  # trials from which a dimension is searched
GENERIC_FACTOR = 100  # a user's own optimizer is searched from its default rate / 100 to its default rate * 100
LARGEST_RATE = 1e6  # the largest learning rate that a config accepts

BATCH_SIZES = (32, 64, 128, 256)  # start: the chapter's value
_ACTIVATION = Choice(choices=("relu", "leaky_relu", "tanh", "sigmoid"), start="relu", from_trials=MANY)
MODELS: dict[str, Space] = {
    "convnet": {  # the chapter's values
        "model.dropout.0": Range(low=0.0, high=0.5, start=0.10),
        "model.dropout.1": Range(low=0.0, high=0.6, start=0.25),
        "model.activation": _ACTIVATION,
    },
    "mlp": {
        # Srivastava et al. 2014: .5 for hidden layers of 1,024 units and more; start: the config's default
        "model.dropout": Range(low=0.0, high=0.6, start=0.20),
        "model.activation": _ACTIVATION,
    },
}


def rate(low: float, high: float, start: float) -> Space:
    """Return the space of a learning rate, on a logarithmic scale."""
    return {"optimizer.lr": Range(low=low, high=high, log=True, start=start)}


def _decay(key: str, low: float, high: float, start: float) -> Space:
    """Return the space of a decay: `low` and `high` bound 1 - decay, and `start` is the decay itself."""
    return {key: Range(low=low, high=high, log=True, complement=True, start=start, from_trials=SOME)}


_MOMENTUM: Space = {
    **rate(1e-4, 1.0, 1e-2),  # DeepOBS: best 2.5e-3 at momentum .99; start: equivalent to rate .1 at momentum 0
    **_decay("optimizer.momentum", 5e-3, 0.3, 0.9),
}
_ADAM: Space = {
    **rate(1e-5, 3e-2, 1e-3),  # DeepOBS: best 2.5e-4, fails from 4e-2; start: Kingma and Ba 2015
    **_decay("optimizer.betas.0", 2e-2, 0.5, 0.9),
    "optimizer.eps": Range(low=1e-8, high=1.0, log=True, start=1e-8, from_trials=MANY),  # Choi et al. 2019
}

SPACES: dict[str, Space] = {
    "sgd": rate(1e-3, 1.0, 0.1),  # DeepOBS: best .158, fails from .63; start: He et al. 2016
    "momentum": _MOMENTUM,
    "nesterov": _MOMENTUM,
    "adagrad": rate(1e-4, 1.0, 1e-2),  # Sivaprasad et al. 2020: prior median 1e-2
    "adadelta": {
        **rate(1e-2, 10.0, 0.5),  # Crowded Valley: .573; PyTorch's example: 1.0; start: the chapter
        **_decay("optimizer.rho", 1e-2, 0.6, 0.9),
    },
    "rmsprop": {
        **rate(1e-5, 3e-2, 1e-3),  # Crowded Valley: 2e-4; start: Hinton 2012, lecture 6e
        **_decay("optimizer.alpha", 1e-3, 0.5, 0.99),  # Crowded Valley: .913
    },
    "adam": _ADAM,
    "adamw": _ADAM,
    "nadam": _ADAM,
    "radam": _ADAM,
    "adamax": _ADAM,
    "adafactor": rate(1e-4, 1e-1, 1e-2),  # start: Shazeer and Stern 2018, whose relative steps are 1e-2 at most
    "asgd": rate(1e-3, 1.0, 0.1),  # like SGD: the same steps, with a falling rate
    "rprop": rate(1e-5, 1e-1, 1e-2),  # the first step size; start: torch's default (Riedmiller and Braun 1993: .1)
    "lbfgs": rate(0.1, 1.0, 1.0),  # the first step of its line search; start: Nocedal and Wright 2006, section 3.5
    "muon": {
        **rate(1e-3, 0.1, 2e-2),  # start: Jordan et al. 2024
        "optimizer.adamw_lr": Range(low=1e-4, high=1e-2, log=True, start=1e-3, from_trials=SOME),  # Jordan: 3e-4
        **_decay("optimizer.momentum", 1e-2, 0.3, 0.95),  # Jordan et al. 2024
    },
    "lion": {
        **rate(1e-6, 1e-2, 1e-4),  # Chen et al. 2023: a third to a tenth of AdamW's rate, and the start
        **_decay("optimizer.betas.0", 2e-2, 0.5, 0.9),  # Chen et al. 2023: .9 or .95
    },
    # the authors leave lr at 1 and tune d_coef instead, by factors of about two
    "prodigy": {"optimizer.d_coef": Range(low=0.1, high=10.0, log=True, start=1.0)},
    "schedule_free_adamw": {
        **rate(1e-4, 0.1, 2.5e-3),  # Defazio et al. 2024: 1 to 10 times the rate under a schedule, and the start
        **_decay("optimizer.betas.0", 1e-2, 0.3, 0.9),  # Defazio et al. 2024: .9, .95 or .98
    },
    "soap": {
        **rate(1e-4, 3e-2, 3e-3),  # Vyas et al. 2025: 1e-3 to 1e-2, best 3e-3
        **_decay("optimizer.betas.0", 2e-2, 0.5, 0.95),  # start: Vyas et al. 2025
    },
    "sam": {
        **_MOMENTUM,
        "optimizer.rho": Range(low=1e-2, high=0.5, log=True, start=0.05, from_trials=SOME),  # Foret et al. 2021
    },
}


def with_default_spaces(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sweep's values with default spaces for those that it does not declare; an empty space stays empty.

    An optimizer's study leaves a default dimension out where its variant fixes the value, or where the optimizer's
    own space declares the dimension. The studies of the other optimizers still search the default dimension.
    """
    shared = shared_space(sweep.get("base"))
    whole = {"space": shared, "spaces": {}, **sweep}
    names, variants, declared = sweep.get("optimizers", ()), sweep.get("variants", {}), whole["spaces"]
    if not _are_mappings(variants, declared) or not isinstance(names, list | tuple):
        return whole  # the validation of the definition names the wrong field
    names = [name for name in names if isinstance(name, str)]
    settings = {name: variants.get(name, {}) for name in names}
    spaces = {name: dict(declared.get(name, {})) for name in names}
    if "space" not in sweep:
        left = {name: _left(shared, settings[name], spaces[name]) for name in names}
        whole["space"] = {
            key: each for key, each in shared.items() if all(key in of_name for of_name in left.values())
        }
        for name in names:
            spaces[name] |= {key: each for key, each in left[name].items() if key not in whole["space"]}
    if declared or "spaces" not in sweep:
        for name in names:
            if name not in declared:
                optimizer = str(settings[name].get("optimizer.name", name))
                default = _generic(optimizer, settings[name]) if ":" in optimizer else SPACES.get(optimizer, {})
                spaces[name] = _left(default, settings[name], {}) | spaces[name]
    return {**whole, "spaces": spaces}


def shared_space(base: Any) -> Space:  # noqa: ANN401
    """Return the default space that all optimizers share, for a base config or its plain values.

    It has the batch sizes that the training set allows, and the default space of the network. A user's own model has
    no default space.
    """
    dataset, model = _part(base, "dataset"), _part(base, "model")
    sizes = [size for size in BATCH_SIZES if size <= _train_size(dataset)]
    of_batches: Space = {"batch_size": Choice(choices=tuple(sizes), start=sizes[0])} if sizes else {}
    return of_batches | MODELS.get(str(model.get("name", "convnet")), {})


def _part(base: Any, name: str) -> Mapping[str, Any]:  # noqa: ANN401
    """Return the values of a part of a config or of its plain values; empty if it is invalid and refused later."""
    part = base.get(name, {}) if isinstance(base, Mapping) else getattr(base, name, {})
    values = part.model_dump() if isinstance(part, FrozenModel) else part
    return values if isinstance(values, Mapping) else {}


def _train_size(dataset: Mapping[str, Any]) -> int:
    """Return the number of training images of a dataset's values: the given number, else the dataset's default."""
    size = dataset.get("train_size")
    if isinstance(size, int):
        return size
    known = DATASETS.get(str(dataset.get("name", "mnist")))
    return known.train_size if known else max(BATCH_SIZES)


SHARED = shared_space({})  # for the chapter's network on MNIST


def _generic(optimizer: str, settings: Mapping[str, Any]) -> Space:
    """Return the generic space of a user's own optimizer: from 1/100 to 100 times its default learning rate.

    Raises:
        BadInputError: the optimizer has no learning rate with a default above 0, and `settings` fixes no learning
            rate: its study would train one configuration again and again.
    """
    if any(key in RATE_KEYS for key in settings):
        return {}
    arguments = defaults(optimizer, first=1)
    rate = next((each for each in RATES if _is_positive(arguments.get(each))), None)
    if rate is None:
        raise BadInputError(
            "optimizer",
            optimizer,
            "has no default space, and no learning rate with a default from which to make one",
            expected="a space of its own",
            next_step=f"declare it under spaces.{optimizer!r}; it may be empty",
        )
    start = float(arguments[rate])
    low, high = start / GENERIC_FACTOR, min(start * GENERIC_FACTOR, LARGEST_RATE)
    return {f"optimizer.{rate}": Range(low=low, high=high, log=True, start=start)}


def _is_positive(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _left(default: Space, settings: Mapping[str, Any], declared: Mapping[str, Any]) -> Space:
    """Return the dimensions of a default space that no setting of a variant fixes and no declared space has.

    A dimension for larger budgets stays even if it is fixed, because the definition removes it later.
    """
    return {
        key: each
        for key, each in default.items()
        if not any(overlap(key, other) for other in declared)
        and not (each.from_trials == 1 and any(overlap(key, other) for other in settings))
    }


def _are_mappings(*values: Any) -> bool:  # noqa: ANN401
    """Return whether all the values, and all values in them, are mappings."""
    return all(isinstance(each, Mapping) and all(isinstance(v, Mapping) for v in each.values()) for each in values)
