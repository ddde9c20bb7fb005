"""Define the config of a run, which decides the run's numbers, and its canonical text and hash."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from harness.config.base import FrozenModel, NonNegative, Probability, Seed
from harness.config.datasets import AnyDataset, AugmentationConfig, DatasetConfig, OwnDatasetConfig
from harness.config.networks import NETWORKS, AnyModel, ModelConfig, OwnModelConfig, require_fitting
from harness.config.optimizers import OPTIMIZER_CONFIGS, AdadeltaConfig, OptimizerConfig, OwnOptimizerConfig
from harness.config.plugins import OwnConfig
from harness.config.registry import DATASETS
from harness.config.schedules import SCHEDULES, ConstantSchedule, ScheduleConfig, WarmedUp
from harness.config.trajectory import TrajectoryConfig
from harness.errors import BadInputError


def _device_name(text: str) -> str:
    if re.fullmatch(r"cpu|mps|cuda(:\d+)?", text) is None:
        raise BadInputError("device", text, expected="cpu, mps, cuda or, with a number, cuda:1")
    return text


Device = Annotated[str, AfterValidator(_device_name)]


class RunConfig(FrozenModel):
    """Hold everything that decides a run's numbers. Where the run executes is not part of its config."""

    added_later: ClassVar[frozenset[str]] = frozenset({"trajectory"})

    dataset: AnyDataset = DatasetConfig()
    """The dataset, and the sizes and seed of its split."""
    model: AnyModel = ModelConfig()
    """The network."""
    optimizer: OptimizerConfig = AdadeltaConfig(lr=0.5)
    """The optimizer and its hyperparameters."""
    schedule: ScheduleConfig = ConstantSchedule()
    """How the learning rate changes."""
    label_smoothing: Probability = 0.0
    """The label smoothing of the training loss; validation and test losses are computed without it."""
    gradient_clip_norm: NonNegative = 0.0
    """The largest norm of all gradients together; larger gradients are scaled down to it. 0: no limit."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """The random changes to training images."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    """The number of images of a training step."""
    evaluation_batch_size: Annotated[int, Field(ge=1, le=60_000)] = 500
    """The number of images that are evaluated together."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 2
    """The number of epochs."""
    checkpoint_every: Annotated[int, Field(ge=1, le=10_000)] = 1
    """The number of epochs between two checkpoints of the state; the state after the last epoch is always kept."""
    seed: Seed = 0
    """The seed of the run, which decides all its random draws."""
    device: Device = "cpu"
    """The device to train on: cpu, mps, cuda or, with a number, cuda:1."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    """The number of threads that torch computes with on the CPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """The precision of the forward and backward pass; weights stay in float32."""
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    """The memory format of images and weights: contiguous or channels_last."""
    fused: bool = False
    """Use torch's fused kernel for the optimizer's step, if torch has one for it."""
    trajectory: TrajectoryConfig = TrajectoryConfig()
    """The values that are recorded within an epoch, and at which points."""

    @model_validator(mode="after")
    def _batch_fits_the_data(self) -> Self:
        if self.batch_size > self.dataset.train_size:
            raise BadInputError(
                "batch_size",
                self.batch_size,
                "is larger than the training set",
                expected=f"1 to dataset.train_size ({self.dataset.train_size})",
            )
        return self

    @model_validator(mode="after")
    def _warm_up_fits_the_run(self) -> Self:
        if isinstance(self.schedule, WarmedUp) and self.schedule.warm_up_epochs > self.epochs:
            raise BadInputError(
                "schedule.warm_up_epochs", self.schedule.warm_up_epochs, expected=f"0 to epochs ({self.epochs})"
            )
        return self

    @model_validator(mode="after")
    def _model_and_augmentation_fit_the_data(self) -> Self:
        if not isinstance(self.dataset, DatasetConfig):
            return self  # the shape of a user's own images is known only when a run begins
        known, model = self.dataset.known, self.model
        if not isinstance(model, OwnModelConfig):
            require_fitting(model, known.shape, self.dataset.name)
            if model.shape or model.classes:
                raise BadInputError(
                    "model.shape, model.classes",
                    (model.shape, model.classes),
                    f"are set, but the registry knows those of {self.dataset.name}",
                    next_step="remove both settings",
                )
        if known.is_table and self.augmentation != AugmentationConfig():
            raise BadInputError(
                "augmentation",
                problem=f"is set for {self.dataset.name}, which has rows of {known.shape[0]} features",
                expected="a dataset of images",
                next_step="remove the settings whose keys begin with augmentation.",
            )
        return self


# A run's text leaves these fields out if they have their defaults; a sweep's definition always has them. Stored
# hashes depend on both rules. A new field belongs into `added_later` instead, which applies to both texts.
ADDED_FIELDS = {"schedule", "label_smoothing", "gradient_clip_norm", "augmentation", "fused"}
# the parts of a run config that have a name, with the built-in classes by name
NAMED: dict[str, Mapping[str, type[FrozenModel]]] = {
    "dataset": dict.fromkeys(DATASETS, DatasetConfig),
    "model": NETWORKS,
    "optimizer": OPTIMIZER_CONFIGS,
    "schedule": SCHEDULES,
}
OWN: dict[str, type[OwnConfig]] = {
    "dataset": OwnDatasetConfig,
    "model": OwnModelConfig,
    "optimizer": OwnOptimizerConfig,
}


def canonical_json(model: BaseModel) -> str:
    """Return the canonical JSON text of a config: sorted keys, no spaces, floats as Python's shortest repr.

    A field that was added in a later version is left out if it has its default, so that older configs keep their text
    and hash.
    """
    values = _without_added(model, model.model_dump(mode="json"))
    if isinstance(model, RunConfig):
        off = RunConfig().model_dump(mode="json", include=ADDED_FIELDS)
        values = {key: each for key, each in values.items() if key not in off or each != off[key]}
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _without_added(value: Any, dumped: Any) -> Any:  # noqa: ANN401
    """Return `dumped`, the JSON values of `value`, without the fields in `added_later` that have their defaults."""
    if isinstance(value, FrozenModel):
        fields = type(value).model_fields
        default = {key: fields[key].get_default(call_default_factory=True) for key in value.added_later}
        off = {key for key, each in default.items() if getattr(value, key) == each}
        return {
            key: _without_added(getattr(value, key), each) if key in fields else each
            for key, each in dumped.items()
            if key not in off
        }
    if isinstance(value, Mapping):
        pairs = zip(value.values(), dumped.items(), strict=True)
        return {key: _without_added(each, text) for each, (key, text) in pairs}
    if isinstance(value, list | tuple):
        return [_without_added(*pair) for pair in zip(value, dumped, strict=True)]
    return dumped


def config_hash(model: BaseModel) -> str:
    """Return the SHA-256 of the canonical JSON text, in hexadecimal."""
    return hashlib.sha256(canonical_json(model).encode()).hexdigest()


def flatten(model: BaseModel) -> dict[str, Any]:
    """Return the leaf values by dotted key (`optimizer.lr`, `model.dropout.0`), which MLflow shows as params."""
    return leaves("", model.model_dump(mode="json"))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return each dotted key at which two nested values differ, with both values; None if a side lacks the key."""
    ones, others = leaves("", one), leaves("", other)
    return [(key, ones.get(key), others.get(key)) for key in ones | others if ones.get(key) != others.get(key)]


def leaves(prefix: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the leaf values of nested mappings and lists by dotted key, each key after `prefix`."""
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, item in items:
        found |= leaves(f"{prefix}.{key}" if prefix else key, item)
    return found
