"""RunConfig: what decides a run's numbers, typed, frozen, hashed. The one place for names, types and defaults."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import BadInputError, unknown

NEXT_STEP = "; correct the value and run again"
Model = TypeVar("Model", bound=BaseModel)
LearningRate = Annotated[float, Field(gt=0, le=1e6)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, le=1e6)]
Positive = Annotated[float, Field(gt=0, le=1e6)]


class FrozenModel(BaseModel):
    """Immutable, no unknown keys, no nan or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class SGDConfig(FrozenModel):
    """`torch.optim.SGD` without momentum, as the chapter introduces it."""

    name: Literal["sgd"] = "sgd"
    lr: LearningRate = 1e-3
    weight_decay: NonNegative = 0.0


class MomentumConfig(FrozenModel):
    """`torch.optim.SGD` with heavy-ball momentum (Polyak 1964)."""

    name: Literal["momentum"] = "momentum"
    lr: LearningRate = 1e-3
    momentum: Decay = 0.9
    dampening: Decay = 0.0
    weight_decay: NonNegative = 0.0


class NesterovConfig(FrozenModel):
    """`torch.optim.SGD` with Nesterov momentum (Sutskever et al. 2013)."""

    name: Literal["nesterov"] = "nesterov"
    lr: LearningRate = 1e-3
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    weight_decay: NonNegative = 0.0


class AdagradConfig(FrozenModel):
    """`torch.optim.Adagrad` (Duchi et al. 2011)."""

    name: Literal["adagrad"] = "adagrad"
    lr: LearningRate = 1e-2
    lr_decay: NonNegative = 0.0
    initial_accumulator_value: NonNegative = 0.0
    eps: NonNegative = 1e-10
    weight_decay: NonNegative = 0.0


class AdadeltaConfig(FrozenModel):
    """`torch.optim.Adadelta` (Zeiler 2012)."""

    name: Literal["adadelta"] = "adadelta"
    lr: LearningRate = 1.0
    rho: Decay = 0.9
    eps: Positive = 1e-6
    weight_decay: NonNegative = 0.0


class RMSpropConfig(FrozenModel):
    """`torch.optim.RMSprop` (Hinton 2012, lecture 6e)."""

    name: Literal["rmsprop"] = "rmsprop"
    lr: LearningRate = 1e-2
    alpha: Decay = 0.99
    momentum: Decay = 0.0
    centered: bool = False
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0


class AdamConfig(FrozenModel):
    """`torch.optim.Adam` (Kingma and Ba 2015; `amsgrad`: Reddi et al. 2018)."""

    name: Literal["adam"] = "adam"
    lr: LearningRate = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    amsgrad: bool = False
    decoupled_weight_decay: bool = False


class AdamWConfig(FrozenModel):
    """`torch.optim.AdamW` (Loshchilov and Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    lr: LearningRate = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 1e-2
    amsgrad: bool = False


class NAdamConfig(FrozenModel):
    """`torch.optim.NAdam` (Dozat 2016)."""

    name: Literal["nadam"] = "nadam"
    lr: LearningRate = 2e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    momentum_decay: NonNegative = 4e-3
    decoupled_weight_decay: bool = False


class RAdamConfig(FrozenModel):
    """`torch.optim.RAdam` (Liu et al. 2020)."""

    name: Literal["radam"] = "radam"
    lr: LearningRate = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    decoupled_weight_decay: bool = False


class AdamaxConfig(FrozenModel):
    """`torch.optim.Adamax` (Kingma and Ba 2015, section 7)."""

    name: Literal["adamax"] = "adamax"
    lr: LearningRate = 2e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0


AnyOptimizerConfig = (
    SGDConfig
    | MomentumConfig
    | NesterovConfig
    | AdagradConfig
    | AdadeltaConfig
    | RMSpropConfig
    | AdamConfig
    | AdamWConfig
    | NAdamConfig
    | RAdamConfig
    | AdamaxConfig
)
OptimizerConfig = Annotated[AnyOptimizerConfig, Field(discriminator="name")]
OPTIMIZER_CONFIGS: dict[str, type[AnyOptimizerConfig]] = {
    kind.model_fields["name"].default: kind for kind in get_args(AnyOptimizerConfig)
}


class DatasetConfig(FrozenModel):
    """Which images, and how the 60,000 training images are split."""

    name: Literal["mnist", "fashion-mnist"] = "mnist"
    train_size: Annotated[int, Field(ge=1, le=60_000)] = 50_000
    validation_size: Annotated[int, Field(ge=0, le=59_999)] = 10_000
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _fits_the_training_set(self) -> Self:
        if self.train_size + self.validation_size > 60_000:
            raise ValueError(
                f"train_size + validation_size is {self.train_size + self.validation_size}, "
                "at most the 60000 training images are allowed"
            )
        return self


class ModelConfig(FrozenModel):
    """The chapter's ConvNet. `dropout`: after pooling (whole channels), before the last layer."""

    activation: Literal["relu", "leaky_relu", "tanh", "sigmoid"] = "relu"
    leaky_relu_slope: Annotated[float, Field(ge=0, le=1)] = 0.01
    dropout: tuple[Probability, Probability] = (0.10, 0.25)


class RunConfig(FrozenModel):
    """One run. Where it executes is not in here; what changes its numbers is.

    `checkpoint_every`: the state is kept after every so many epochs, and after the last.
    """

    dataset: DatasetConfig = DatasetConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = AdadeltaConfig(lr=0.5)
    batch_size: Annotated[int, Field(ge=1)] = 32
    evaluation_batch_size: Annotated[int, Field(ge=1, le=60_000)] = 500
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 2
    checkpoint_every: Annotated[int, Field(ge=1, le=10_000)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    device: Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")] = "cpu"
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    precision: Literal["float32", "bfloat16"] = "float32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"

    @model_validator(mode="after")
    def _batch_fits_the_data(self) -> Self:
        if self.batch_size > self.dataset.train_size:
            raise ValueError(
                f"batch_size {self.batch_size} is over the data: 1 to dataset.train_size "
                f"({self.dataset.train_size}) is allowed"
            )
        return self


def canonical_json(model: BaseModel) -> str:
    """The one JSON text of a config: sorted keys, no spaces, floats as Python's shortest repr."""
    return json.dumps(model.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def config_hash(model: BaseModel) -> str:
    """SHA-256 of the canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical_json(model).encode()).hexdigest()


def flatten(model: BaseModel) -> dict[str, Any]:
    """Leaf values by dotted key (`optimizer.lr`, `model.dropout.0`): what MLflow shows as params."""
    return _leaves("", model.model_dump(mode="json"))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Every dotted key at which two nested values differ, and both values; None where a side lacks the key."""
    ones, others = _leaves("", one), _leaves("", other)
    return [(key, ones.get(key), others.get(key)) for key in ones | others if ones.get(key) != others.get(key)]


def _leaves(prefix: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for key, item in items:
        leaves |= _leaves(f"{prefix}.{key}" if prefix else key, item)
    return leaves


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """A config from nested plain values.

    Raises:
        BadInputError: an unknown or out-of-range field, in one line that names it.
    """
    optimizer = values.get("optimizer")
    if isinstance(optimizer, Mapping) and optimizer.get("name") not in OPTIMIZER_CONFIGS:
        raise unknown(
            "optimizer", str(optimizer.get("name")), OPTIMIZER_CONFIGS, "see `harness run --help` for --set"
        )
    return validated(RunConfig, values)


def validated(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """`values` as a `kind`, or one line naming the field, the value and what is allowed."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise BadInputError(_one_line(kind, error)) from None


def _one_line(kind: type[BaseModel], error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False):
        # a discriminated union puts its tag into the location: optimizer.adam.lr
        location = [str(part) for part in problem["loc"]]
        key = ".".join(
            part
            for index, part in enumerate(location)
            if not (index and location[index - 1] == "optimizer" and part in OPTIMIZER_CONFIGS)
        )
        message = problem["msg"].removeprefix("Value error, ").removesuffix(NEXT_STEP)
        if problem["type"] == "extra_forbidden":
            problems.append(f"{key}: unknown key{_allowed_keys(kind, location)}")
        elif problem["type"] == "value_error":  # from a validator of ours, whose message names what is wrong
            problems.append(message)
        elif problem["type"] == "missing":
            problems.append(f"{key}: missing; a value is required")
        else:
            problems.append(f"{key} {problem['input']!r}: {message[0].lower()}{message[1:]}")
    return "; ".join(problems) + NEXT_STEP


def _allowed_keys(kind: type[BaseModel], location: list[str]) -> str:
    """The keys beside an unknown one, where the path to it leads through models alone."""
    for part in location[:-1]:
        field = kind.model_fields.get(part)
        if part in OPTIMIZER_CONFIGS:
            kind = OPTIMIZER_CONFIGS[part]
        elif field is None:
            return ""
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            kind = field.annotation
    return f"; allowed: {', '.join(kind.model_fields)}"


def with_settings(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """`config` with dotted keys replaced. A new `optimizer.name` starts from that optimizer's own defaults.

    Raises:
        BadInputError: an unknown key or a value that is not allowed.
    """
    values = config.model_dump()
    name = settings.get("optimizer.name", config.optimizer.name)
    if name != config.optimizer.name and name in OPTIMIZER_CONFIGS:
        values["optimizer"] = OPTIMIZER_CONFIGS[name]().model_dump()
    for key, value in settings.items():
        _set_leaf(values, key, value)
    return parse_config(values)


def _set_leaf(values: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401
    *parents, leaf = key.split(".")
    target: Any = values
    for parent in parents:
        if isinstance(target, dict) and isinstance(target.get(parent), tuple):
            target[parent] = list(target[parent])
        target = target.get(parent) if isinstance(target, dict) else None
        if target is None:
            raise unknown("setting", key, flatten(RunConfig()), "`harness run --help` lists the keys")
    if isinstance(target, list):
        if not leaf.isdigit() or int(leaf) >= len(target):
            raise unknown("setting", key, flatten(RunConfig()), "`harness run --help` lists the keys")
        target[int(leaf)] = value
    else:
        target[leaf] = value
