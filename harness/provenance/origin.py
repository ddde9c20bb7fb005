"""Find, compare and check the origin of a run: its data, and the source of the user's own parts."""

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.config import AnyDatasetConfig, OwnDatasetConfig, RunConfig, differences
from harness.errors import BadInputError
from harness.provenance.repeatable import REPEATABLE, require_repeatable
from harness.provenance.source import OwnSource, require_same_source
from harness.records import SOURCE_ARTIFACT, Tag
from harness.tracking.tracker import FoundRun, TrackedRun
from harness.training.data import load_splits
from harness.training.determinism import require_threads
from harness.training.images import Splits
from harness.training.inputs import found_inputs
from harness.training.mistakes import LARGEST_MATRIX
from harness.training.repeats import repeats

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Hold what decides a run's numbers beside its config: its data, and the source of the user's own parts.

    `digest` identifies the data. `threads` is the number of torch threads with which the data were made.
    """

    digest: str
    threads: int
    source: OwnSource


def new_origin(config: RunConfig, data: Splits, source: OwnSource) -> Origin:
    """Return the origin of a new run or sweep with these data and this source of its own parts.

    Raises:
        BadInputError: the user's own dataset function returns different data in another process.
    """
    if isinstance(config.dataset, OwnDatasetConfig):
        require_repeatable(config.dataset, data.digest)
        _warn_of(config.dataset.name, data)
    return present_origin(data, source)


def _warn_of(name: str, data: Splits) -> None:
    """Warn of own data that can be trained on, but whose results will be too good or incomplete."""
    if count := repeats(data):
        logger.warning(
            "harness: %s of the %s test images of %r are among its training images too, so the test accuracy may be "
            "too high; remove repeated images from the data",
            *(f"{count:,}", f"{len(data.test):,}", name),
        )
    if (classes := found_inputs(data).classes) > LARGEST_MATRIX:
        logger.warning(
            "harness: dataset %r has %s classes; with more than %s, no confusion matrix and no mistakes are recorded",
            *(name, f"{classes:,}", f"{LARGEST_MATRIX:,}"),
        )


def present_origin(data: Splits, source: OwnSource) -> Origin:
    """Return the origin as it is now, with these data and this source of own parts."""
    return Origin(data.digest, torch.get_num_threads(), source)


def changed_source(
    recorded: FoundRun | TrackedRun, now: OwnSource, read_artifact: Callable[[str, str], bytes]
) -> list[tuple[str, str | None, str | None]]:
    """Return the files of a run's or sweep's own parts that have changed, as (file, recorded hash, hash now).

    Nothing is compared if no source was recorded: by older versions, or without own parts.
    """
    if recorded.tags.get(Tag.SOURCE_DIGEST, now.digest) == now.digest:
        return []
    then: dict[str, str] = json.loads(read_artifact(recorded.run_id, SOURCE_ARTIFACT))
    return differences(then, now.files)


def source_tags(source: OwnSource) -> dict[str, str]:
    """Return the tag that identifies the files of own parts; empty if there are none."""
    return {Tag.SOURCE_DIGEST: source.digest} if source.digest else {}


def data_for_slice(config: RunConfig, data_dir: Path | None, origin: Origin | None) -> Splits:
    """Return the config's data in the process that trains, checked against the run's origin if it is given.

    Raises:
        BadInputError: the data, or the source of own parts, differ in this process.
    """
    if origin is None:
        return load_cached_splits(config.dataset, config.device, data_dir)
    require_same_source(origin.source)
    with torch_threads(origin.threads):
        data = load_cached_splits(config.dataset, config.device, data_dir)
    if data.digest != origin.digest:
        raise BadInputError(
            "dataset",
            config.dataset.name,
            f"gives a worker other data (digest {data.digest[:12]}) than its run or sweep began with "
            f"({origin.digest[:12]})",
            expected="the same data in every process",
            next_step=f"in a function of your own, {REPEATABLE}; on a cluster, give each machine the same files",
        )
    return data


def load_cached_splits(dataset: AnyDatasetConfig, device: str, data_dir: Path | None) -> Splits:
    """Call `load_splits`, and cache the latest dataset for the next slices; a relative folder is resolved first."""
    return remembered_splits(dataset, device, data_dir.resolve() if data_dir else None)


remembered_splits = functools.lru_cache(maxsize=1)(load_splits)


def load_present_splits(dataset: AnyDatasetConfig, device: str, data_dir: Path | None) -> Splits:
    """Load the data of a new run or sweep. A user's own function is called again, as what it reads may be new."""
    if isinstance(dataset, OwnDatasetConfig):
        remembered_splits.cache_clear()
    return load_cached_splits(dataset, device, data_dir)


def require_same_data(config: RunConfig, expected: str | None, data_dir: Path | None) -> Splits:
    """Return the config's data for training in this process, after a check of their digest.

    Raises:
        BadInputError: the digest is not the expected one, or the config has more threads than this process may use.
    """
    require_threads(config.threads)
    data = load_present_splits(config.dataset, config.device, data_dir)
    if data.digest != expected:
        raise BadInputError(
            "dataset",
            config.dataset.name,
            f"has digest {data.digest}",
            expected=f"{expected}, as recorded with the run",
            next_step=how_to_restore(config.dataset),
        )
    return data


def how_to_restore(dataset: AnyDatasetConfig) -> str:
    """Return the advice for a dataset that has changed."""
    if isinstance(dataset, OwnDatasetConfig):
        return f"restore what its function reads; if it returns different data each time, {REPEATABLE}"
    return "give the folder with that data as `data_dir`"


@contextlib.contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Set torch's number of threads within the block, because it decides the last bit of a mean over images."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
