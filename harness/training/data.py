"""Load a config's dataset, split it, and describe it for the record of a run."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from harness.config import AnyDatasetConfig, DatasetConfig, OwnDatasetConfig
from harness.config.registry import ScikitLearn
from harness.errors import BadInputError
from harness.records import DatasetInput, DatasetUse
from harness.training.files import read_images, shipped_mnist
from harness.training.from_scikit_learn import scikit_learn_source
from harness.training.from_torchvision import torchvision_root
from harness.training.images import Split, Splits, stratified_order
from harness.training.own_data import own_parts
from harness.training.rows import chunks

DIGEST_LENGTH = 36  # characters that MLflow keeps of a dataset's digest


def load_splits(config: AnyDatasetConfig, device: str, data_dir: Path | None = None) -> Splits:
    """Return the config's dataset on `device`, split by the config; on the CPU the parts are not copied.

    Raises:
        BadInputError: files are missing, the data are not images and labels, or there are fewer than the config
            needs.
        DamagedFileError: a file of the shipped MNIST differs from the published file.
    """
    train, test = own_parts(config) if isinstance(config, OwnDatasetConfig) else read_images(config.name, data_dir)
    if config.train_size + config.validation_size > len(train):
        raise BadInputError(
            "dataset.train_size + dataset.validation_size",
            config.train_size + config.validation_size,
            expected=f"at most {len(train)}, the training images in {_whence(config, data_dir)}",
            next_step="choose smaller sizes",
        )
    order = stratified_order(train.labels, config.split_seed)
    validation_part = order[: config.validation_size]
    train_part = order[config.validation_size : config.validation_size + config.train_size]

    def take(part: Tensor) -> Split:
        index = part.sort().values  # in file order, so that all 60,000 images equal the chapter's dataset
        return train.part(index).to(device)

    return Splits(
        train=take(train_part),
        validation=take(validation_part),
        test=test.to(device),
        digest=_digest(train, test),
        source=_source(config, data_dir),
    )


def known_classes(config: AnyDatasetConfig) -> tuple[str, ...]:
    """Return the names of a dataset's classes; empty if they are unknown."""
    return config.known.class_names if isinstance(config, DatasetConfig) else ()


def class_names(config: AnyDatasetConfig, classes: int) -> tuple[str, ...]:
    """Return the names of the first `classes` classes; a class without a name gets its number."""
    names = known_classes(config)[:classes]
    return names + tuple(map(str, range(len(names), classes)))


def dataset_inputs(config: AnyDatasetConfig, data: Splits, uses: Sequence[DatasetUse]) -> tuple[DatasetInput, ...]:
    """Return the record of a run's data, for each use of them."""
    test_set = (config.split_seed, config.test_size) if isinstance(config, OwnDatasetConfig) else ()
    # the number of images of each part, and the settings that decide which images they are
    parts: dict[DatasetUse, tuple[int, tuple[int, ...]]] = {
        "training": (config.train_size, (config.split_seed, config.validation_size, *test_set)),
        "validation": (config.validation_size, (config.split_seed, *test_set)),
        "testing": (len(data.test), test_set),
    }

    def of(use: DatasetUse) -> DatasetInput:
        which = hashlib.sha256(f"{data.digest} {use} {parts[use]}".encode()).hexdigest()
        digest = data.digest[: DIGEST_LENGTH // 2] + which[: DIGEST_LENGTH // 2]
        return DatasetInput(name=config.name, use=use, digest=digest, source=data.source, images=parts[use][0])

    return tuple(of(use) for use in uses)


def _whence(config: AnyDatasetConfig, data_dir: Path | None) -> str:
    return repr(config.name if isinstance(config, OwnDatasetConfig) else str(data_dir))


def _source(config: AnyDatasetConfig, data_dir: Path | None) -> Path | str:
    if isinstance(config, OwnDatasetConfig):
        return config.name
    if isinstance(config.known.source, ScikitLearn):
        return scikit_learn_source(config.name)
    return shipped_mnist() if config.name == "mnist" and data_dir is None else torchvision_root(data_dir).resolve()


def _digest(*splits: Split) -> str:
    digest = hashlib.sha256()
    for split in splits:
        for images in chunks(split.images):
            digest.update(images.reshape(-1).numpy().data)
        digest.update(split.labels.numpy().tobytes())
    return digest.hexdigest()
