"""Define the config of a run: each hyperparameter's name, type, range and default, and how to make it from values.

Other packages import from here; the modules of this package import from each other.
"""

from harness.config.base import SEEDS, FrozenModel, Seed
from harness.config.datasets import (
    AnyDatasetConfig,
    AugmentationConfig,
    DatasetConfig,
    OwnDatasetConfig,
    require_one_of_each,
    statistics,
    things_of,
)
from harness.config.messages import refused, validated
from harness.config.modern import SAMConfig
from harness.config.networks import (
    AnyModelConfig,
    MLPConfig,
    ModelConfig,
    NetworkConfig,
    OwnModelConfig,
    require_fitting,
)
from harness.config.optimizers import (
    OPTIMIZER_CONFIGS,
    RATE_KEYS,
    RATES,
    AnyOptimizerConfig,
    MuonConfig,
    OwnOptimizerConfig,
    TorchOptimizerConfig,
    learning_rate,
)
from harness.config.overrides import config_keys, parse_config, with_settings
from harness.config.plugins import OwnConfig
from harness.config.positions import (
    images_at,
    measured_steps,
    step_after,
    step_at,
    steps_per_epoch,
    window_ends,
)
from harness.config.recorded import recorded, unflatten
from harness.config.registry import DATASETS
from harness.config.run import OWN, RunConfig, canonical_json, config_hash, differences, flatten
from harness.config.schedules import ConstantSchedule, CosineSchedule, OneCycleSchedule, StepSchedule, WarmedUp
from harness.config.trajectory import TrajectoryConfig

__all__ = [
    "DATASETS",
    "OPTIMIZER_CONFIGS",
    "OWN",
    "RATES",
    "RATE_KEYS",
    "SEEDS",
    "AnyDatasetConfig",
    "AnyModelConfig",
    "AnyOptimizerConfig",
    "AugmentationConfig",
    "ConstantSchedule",
    "CosineSchedule",
    "DatasetConfig",
    "FrozenModel",
    "MLPConfig",
    "ModelConfig",
    "MuonConfig",
    "NetworkConfig",
    "OneCycleSchedule",
    "OwnConfig",
    "OwnDatasetConfig",
    "OwnModelConfig",
    "OwnOptimizerConfig",
    "RunConfig",
    "SAMConfig",
    "Seed",
    "StepSchedule",
    "TorchOptimizerConfig",
    "TrajectoryConfig",
    "WarmedUp",
    "canonical_json",
    "config_hash",
    "config_keys",
    "differences",
    "flatten",
    "images_at",
    "learning_rate",
    "measured_steps",
    "parse_config",
    "recorded",
    "refused",
    "require_fitting",
    "require_one_of_each",
    "statistics",
    "step_after",
    "step_at",
    "steps_per_epoch",
    "things_of",
    "unflatten",
    "validated",
    "window_ends",
    "with_settings",
]
