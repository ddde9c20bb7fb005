"""RunConfig: what decides a run's numbers, typed, frozen, hashed. The one place for names, types and defaults."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    model_serializer,
    model_validator,
)

from harness.errors import BadInputError, did_you_mean, unknown
from harness.own import defaults, with_defaults

NEXT_STEP = "; correct the value and run again"
Model = TypeVar("Model", bound=BaseModel)
LearningRate = Annotated[float, Field(gt=0, le=1e6)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, le=1e6)]
Positive = Annotated[float, Field(gt=0, le=1e6)]


def _device_name(text: str) -> str:
    if re.fullmatch(r"cpu|mps|cuda(:\d+)?", text) is None:
        raise ValueError(f"device {text!r}: cpu, mps, cuda or, with a number, cuda:1 is allowed")
    return text


Device = Annotated[str, AfterValidator(_device_name)]
OwnName = Annotated[str, Field(pattern=r"^[^\W\d][\w.]*:[^\W\d][\w.]*$")]


class FrozenModel(BaseModel):
    """Immutable, no unknown keys, no nan or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _has_numbers_where_they_belong(cls, values: Any) -> Any:  # noqa: ANN401
        if not isinstance(values, Mapping):
            return values
        kinds = {name: cls.model_fields[name].annotation for name in values if name in cls.model_fields}
        return {name: _number(kinds[name], each) if name in kinds else each for name, each in values.items()}


def _number(kind: Any, value: Any) -> Any:  # noqa: ANN401
    """A truth value as its text where a number belongs: Python takes True for 1, and it is said by mistake."""
    if isinstance(value, bool) and kind in (int, float):
        return str(value)
    if isinstance(value, list | tuple) and get_origin(kind) is tuple:
        bare = {get_args(each)[0] if get_origin(each) is Annotated else each for each in get_args(kind)}
        return [_number(float, each) for each in value] if bare <= {int, float, Ellipsis} else value
    return value


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
OPTIMIZER_CONFIGS: dict[str, type[AnyOptimizerConfig]] = {
    kind.model_fields["name"].default: kind for kind in get_args(AnyOptimizerConfig)
}


class OwnConfig(FrozenModel):
    """A user's own class or function, `module:name`, with its keyword arguments, which are plain values.

    Those that are left out have the defaults of its signature, as far as these are plain.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    first_argument: ClassVar[int] = 0  # of its signature that a config can give

    name: OwnName

    @model_validator(mode="before")
    @classmethod
    def _as_its_signature_has_it(cls, values: Any) -> Any:  # noqa: ANN401
        return with_defaults(values, cls.model_fields, cls.first_argument) if isinstance(values, Mapping) else values

    @property
    def arguments(self) -> dict[str, Any]:
        """What it is called with; a list as the tuple that a signature's default is."""
        return {key: tuple(each) if isinstance(each, list) else each for key, each in self.__pydantic_extra__.items()}


class OwnOptimizerConfig(OwnConfig):
    """A user's own `torch.optim.Optimizer`, whose first argument is the model's parameters."""

    first_argument: ClassVar[int] = 1


def _own_or(ours: str) -> Callable[[Any], str]:
    """Which of two kinds of config a value is of: a user's own has a colon in its name."""

    def kind(value: Any) -> str:  # noqa: ANN401
        name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
        return "own" if isinstance(name, str) and ":" in name else ours

    return kind


OptimizerConfig = Annotated[
    Annotated[AnyOptimizerConfig, Field(discriminator="name"), Tag("torch")]
    | Annotated[OwnOptimizerConfig, Tag("own")],
    Discriminator(_own_or("torch")),
]


class WarmedUp(FrozenModel):
    """For `warm_up_epochs` the rate grows linearly, from `warm_up_factor` of it, with each step (`LinearLR`)."""

    warm_up_epochs: NonNegative = 0.0
    warm_up_factor: Annotated[float, Field(gt=0, le=1)] = 0.01


class ConstantSchedule(WarmedUp):
    """The optimizer's rate, after the warm-up."""

    name: Literal["constant"] = "constant"


class StepSchedule(WarmedUp):
    """`torch.optim.lr_scheduler.StepLR`: times `gamma` every `step_size` epochs after the warm-up."""

    name: Literal["step"] = "step"
    step_size: Annotated[int, Field(ge=1)] = 1
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1


class CosineSchedule(WarmedUp):
    """`torch.optim.lr_scheduler.CosineAnnealingLR` from the warm-up to the run's end (Loshchilov and Hutter 2017)."""

    name: Literal["cosine"] = "cosine"
    eta_min: NonNegative = 0.0


class OneCycleSchedule(FrozenModel):
    """`torch.optim.lr_scheduler.OneCycleLR` over the run, up to the optimizer's rate (Smith and Topin 2019).

    Momentum is not cycled: not every optimizer has one.
    """

    name: Literal["one-cycle"] = "one-cycle"
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    div_factor: Annotated[float, Field(ge=1, le=1e6)] = 25.0
    final_div_factor: Annotated[float, Field(ge=1, le=1e12)] = 1e4


AnySchedule = ConstantSchedule | StepSchedule | CosineSchedule | OneCycleSchedule
ScheduleConfig = Annotated[AnySchedule, Field(discriminator="name")]
SCHEDULES: dict[str, type[AnySchedule]] = {kind.model_fields["name"].default: kind for kind in get_args(AnySchedule)}


class AugmentationConfig(FrozenModel):
    """What is done to a training image, drawn anew for each image of each epoch: torchvision's v2 transforms.

    `rotation`: up to so many degrees either way; `translation`: up to that fraction of a side; `scale`: up to that
    fraction larger or smaller; `horizontal_flip`: its probability. 0: not done.
    """

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    translation: Annotated[float, Field(ge=0, le=1)] = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    horizontal_flip: Annotated[float, Field(ge=0, le=1)] = 0.0


DatasetName = Literal["mnist", "fashion-mnist"]
DATASETS: tuple[DatasetName, ...] = get_args(DatasetName)


class DatasetConfig(FrozenModel):
    """Which images, and how the 60,000 training images are split."""

    name: DatasetName = "mnist"
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


class OwnDatasetConfig(OwnConfig):
    """A user's own function that returns images and labels, two tensors or arrays, and how they are split.

    Images are (n, height, width), (n, channels, height, width) or rows of features (n, features): uint8, normalised
    as MNIST's are, or floating point, which are taken as they are, in float32. Labels are whole numbers (n,), from 0.
    """

    train_size: Annotated[int, Field(ge=1)]
    validation_size: Annotated[int, Field(ge=0)]
    test_size: Annotated[int, Field(ge=1)]
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class ModelConfig(FrozenModel):
    """The chapter's ConvNet. `dropout`: after pooling (whole channels), before the last layer."""

    activation: Literal["relu", "leaky_relu", "tanh", "sigmoid"] = "relu"
    leaky_relu_slope: Annotated[float, Field(ge=0, le=1)] = 0.01
    dropout: tuple[Probability, Probability] = (0.10, 0.25)


class OwnModelConfig(OwnConfig):
    """A user's own `torch.nn.Module`: images (n, channels, height, width) to outputs (n, classes).

    `outputs` says what they are. None stands for log-probabilities until a run begins, which looks at them and sets
    `logits` where they are logits.
    """

    outputs: Literal["log_probabilities", "logits"] | None = None

    @model_serializer(mode="wrap")
    def _without_unsaid_outputs(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `outputs` out where they are None, so that configs of before there was the field keep their text."""
        values: dict[str, Any] = dump(self)
        return {key: each for key, each in values.items() if key != "outputs" or each is not None}


RATES = ("lr", "learning_rate", "rate", "eta", "step_size")  # what optimizers call their learning rate
RATE_KEYS = tuple(f"optimizer.{name}" for name in RATES)


def learning_rate(optimizer: AnyOptimizerConfig | OwnOptimizerConfig) -> tuple[str, float] | None:
    """Return an optimizer's learning rate under its own name for it; None where it has none that is a number."""
    found = {
        key: value for key, value in optimizer.model_dump().items() if key in RATES and isinstance(value, float | int)
    }
    return next(((key, found[key]) for key in RATES if key in found), None)


AnyDatasetConfig = DatasetConfig | OwnDatasetConfig
AnyModelConfig = ModelConfig | OwnModelConfig


class RunConfig(FrozenModel):
    """One run. Where it executes is not in here; what changes its numbers is.

    `label_smoothing` is of the training loss, not of what is measured. `gradient_clip_norm`: the largest norm of all
    gradients together; 0: any. `checkpoint_every`: the state is kept after every so many epochs, and after the last.
    `fused`: the optimizer's step is torch's one kernel for it, where there is one.
    """

    dataset: Annotated[
        Annotated[DatasetConfig, Tag("torchvision")] | Annotated[OwnDatasetConfig, Tag("own")],
        Discriminator(_own_or("torchvision")),
    ] = DatasetConfig()
    model: Annotated[
        Annotated[ModelConfig, Tag("chapter")] | Annotated[OwnModelConfig, Tag("own")],
        Discriminator(_own_or("chapter")),
    ] = ModelConfig()
    optimizer: OptimizerConfig = AdadeltaConfig(lr=0.5)
    schedule: ScheduleConfig = ConstantSchedule()
    label_smoothing: Probability = 0.0
    gradient_clip_norm: NonNegative = 0.0
    augmentation: AugmentationConfig = AugmentationConfig()
    batch_size: Annotated[int, Field(ge=1)] = 32
    evaluation_batch_size: Annotated[int, Field(ge=1, le=60_000)] = 500
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 2
    checkpoint_every: Annotated[int, Field(ge=1, le=10_000)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    device: Device = "cpu"
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    precision: Literal["float32", "bfloat16"] = "float32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    fused: bool = False

    @model_validator(mode="after")
    def _batch_fits_the_data(self) -> Self:
        if self.batch_size > self.dataset.train_size:
            raise ValueError(
                f"batch_size {self.batch_size} is over the data: 1 to dataset.train_size "
                f"({self.dataset.train_size}) is allowed"
            )
        return self

    @model_validator(mode="after")
    def _warm_up_fits_the_run(self) -> Self:
        if isinstance(self.schedule, WarmedUp) and self.schedule.warm_up_epochs > self.epochs:
            raise ValueError(
                f"schedule.warm_up_epochs {self.schedule.warm_up_epochs:g}: 0 to epochs ({self.epochs}) is allowed"
            )
        return self


ADDED_FIELDS = {
    "schedule",
    "label_smoothing",
    "gradient_clip_norm",
    "augmentation",
    "fused",
}  # of later versions, off by default
# the parts of a run config that are told apart by a name, and what there is of them but a user's own
NAMED: dict[str, Mapping[str, type[FrozenModel]]] = {
    "dataset": dict.fromkeys(DATASETS, DatasetConfig),
    "model": {},
    "optimizer": OPTIMIZER_CONFIGS,
    "schedule": SCHEDULES,
}
OWN: dict[str, type[OwnConfig]] = {
    "dataset": OwnDatasetConfig,
    "model": OwnModelConfig,
    "optimizer": OwnOptimizerConfig,
}
# how pydantic calls the kinds in the location of an error
TAGS: dict[str, type[FrozenModel] | None] = {
    "torchvision": DatasetConfig,
    "chapter": ModelConfig,
    "torch": None,
    "own": None,
    **OPTIMIZER_CONFIGS,
    **SCHEDULES,
}


def canonical_json(model: BaseModel) -> str:
    """The one JSON text of a config: sorted keys, no spaces, floats as Python's shortest repr.

    What a run config leaves off is left out, so that one of before there was such a field keeps its text and hash.
    """
    values = model.model_dump(mode="json")
    if isinstance(model, RunConfig):
        off = RunConfig().model_dump(mode="json", include=ADDED_FIELDS)
        values = {key: each for key, each in values.items() if key not in off or each != off[key]}
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


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
    for part in NAMED:
        value = values.get(part)
        if isinstance(value, Mapping) and "name" in value:
            _require_known(part, value["name"])
    return validated(RunConfig, values)


def validated(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """`values` as a `kind`, or one line naming the field, the value and what is allowed."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise BadInputError(one_line(kind, error)) from None


def one_line(kind: type[BaseModel], error: ValidationError) -> str:
    """What is wrong with values that were to be a `kind`: field, value, what is allowed."""
    problems = []
    for problem in error.errors(include_url=False):
        # a discriminated union puts its tag into the location: optimizer.adam.lr
        location = [str(part) for part in problem["loc"]]
        key = ".".join(_without_tags(location))
        message = problem["msg"].removeprefix("Value error, ").removesuffix(NEXT_STEP)
        if problem["type"] == "extra_forbidden":
            allowed = _allowed_keys(kind, location)
            hint = did_you_mean(location[-1], allowed)
            problems.append(f"{key}: unknown key" + (f"; {hint}allowed: {', '.join(allowed)}" if allowed else ""))
        elif problem["type"] == "literal_error":
            allowed = re.findall("'([^']*)'", problem["ctx"]["expected"])
            hint = did_you_mean(str(problem["input"]), allowed)
            problems.append(f"{key} {problem['input']!r}: {hint}allowed: {', '.join(allowed)}")
        elif problem["type"] == "value_error":  # from a validator of ours, whose message names what is wrong
            problems.append(message)
        elif problem["type"] == "missing":
            problems.append(f"{key}: missing; a value is required")
        else:
            problems.append(f"{key} {problem['input']!r}: {message[0].lower()}{message[1:]}")
    return "; ".join(problems) + NEXT_STEP


def _require_known(part: str, name: object) -> None:
    ours = list(NAMED[part])  # a list, since not every value has a hash
    if name not in ours and not (part in OWN and ":" in str(name)):
        own = "; your own as 'module:name'" if part in OWN else ""
        raise unknown(part, str(name), ours, f"see `harness run --help` for --set{own}")


def _without_tags(location: list[str]) -> list[str]:
    """A path without what says which of several kinds of config a value was read as."""
    key: list[str] = []
    in_tags = False
    for part in location:
        if not (in_tags and part in TAGS):
            key.append(part)
        in_tags = part in NAMED or (in_tags and part in TAGS)
    return key


def _allowed_keys(kind: type[BaseModel], location: list[str]) -> list[str]:
    """The keys beside an unknown one, where the path to it leads through models alone."""
    for part in location[:-1]:
        field = kind.model_fields.get(part)
        if part in TAGS:
            kind = TAGS[part] or kind
        elif field is None:
            return []
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            kind = field.annotation
    return list(kind.model_fields)


def with_settings(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """`config` with dotted keys replaced. A new `optimizer.name` starts from that optimizer's own defaults.

    So do a new schedule, and a model or dataset that is a user's own or no longer one.

    Raises:
        BadInputError: an unknown key or a value that is not allowed.
    """
    values = config.model_dump()
    for part in NAMED:
        name = settings.get(f"{part}.name")
        if name is not None:
            _require_known(part, name)
            if _is_of_another_kind(part, str(name), values[part].get("name")):
                values[part] = _defaults(part, str(name))
    for key, value in settings.items():
        keys = _leaves("", values)  # as the settings before it left them
        part, _, leaf = key.partition(".")
        own = ":" in str(keys.get(f"{part}.name")) and "." not in leaf  # its signature says what is allowed
        if not own and not any(f"{known}.".startswith(f"{key}.") for known in keys):
            raise unknown("setting", key, keys, "`harness run --help` lists the keys")
        _set_leaf(values, key, value)
    return parse_config(values)


def _is_of_another_kind(part: str, name: str, before: str | None) -> bool:
    if part == "dataset" and ":" not in f"{name}{before}":
        return False  # the built-in ones are split alike
    return name != before


def _defaults(part: str, name: str) -> dict[str, Any]:
    kind = NAMED[part].get(name)
    if kind is not None:
        return kind().model_dump()
    return {"name": name} | (defaults(name, OWN[part].first_argument) if part in OWN and ":" in name else {})


def _set_leaf(values: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401
    """Replace what a dotted key of nested values names."""
    *parents, leaf = key.split(".")
    target: Any = values
    for parent in parents:
        if isinstance(target[parent], tuple):
            target[parent] = list(target[parent])
        target = target[parent]
    target[int(leaf) if isinstance(target, list) else leaf] = value
