"""What a run's numbers come from beside its config, its data and own parts: found, and required to be the same."""

import contextlib
import functools
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.config import AnyDatasetConfig, OwnDatasetConfig, RunConfig, differences
from harness.errors import BadInputError
from harness.provenance.repeatable import REPEATABLE, require_repeatable
from harness.provenance.source import OwnSource, own_source, require_same_source
from harness.records import SOURCE_ARTIFACT, Tag
from harness.tracking.tracker import FoundRun, TrackedRun
from harness.training.data import load_splits
from harness.training.determinism import require_threads
from harness.training.images import Splits


@dataclass(frozen=True)
class Origin:
    """What a run's numbers come from beside its config: its data, and the source of the user's own parts.

    `threads`: on how many torch computed where the data were made.
    """

    digest: str
    threads: int
    source: OwnSource


def new_origin(config: RunConfig, data: Splits, names: Collection[str]) -> Origin:
    """What a run or sweep begins with, whose own parts have these names.

    Raises:
        BadInputError: the user's own dataset function gives other data in another process.
    """
    if isinstance(config.dataset, OwnDatasetConfig):
        require_repeatable(config.dataset, data.digest)
    return present_origin(data, names)


def present_origin(data: Splits, names: Collection[str]) -> Origin:
    """What there is now: these data, and the files of own parts of these names."""
    return Origin(data.digest, torch.get_num_threads(), own_source(names))


def changed_source(
    recorded: FoundRun | TrackedRun, now: OwnSource, read_artifact: Callable[[str, str], bytes]
) -> list[tuple[str, str | None, str | None]]:
    """What of a run's or sweep's own parts is otherwise now: file, hash then, hash now.

    One that recorded no source, because it is of before or has no own parts, is not compared.
    """
    if recorded.tags.get(Tag.SOURCE_DIGEST, now.digest) == now.digest:
        return []
    then: dict[str, str] = json.loads(read_artifact(recorded.run_id, SOURCE_ARTIFACT))
    return differences(then, now.files)


def source_tags(source: OwnSource) -> dict[str, str]:
    """What identifies the files of own parts, where there are any."""
    return {Tag.SOURCE_DIGEST: source.digest} if source.digest else {}


def data_for_slice(config: RunConfig, data_dir: Path | None, origin: Origin | None) -> Splits:
    """The config's data in the process that trains, and nothing but those of the run's origin, where it is given.

    Raises:
        BadInputError: the data are others here, or the source of own parts is.
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
            expected="the same in every process",
            next_step=f"of a function of your own, {REPEATABLE}; on a cluster, give each machine the same files",
        )
    return data


def load_cached_splits(dataset: AnyDatasetConfig, device: str, data_dir: Path | None) -> Splits:
    """`load_splits`, once per process for the slices of one dataset, whose folder stays the same in any other."""
    return remembered_splits(dataset, device, data_dir.resolve() if data_dir else None)


remembered_splits = functools.lru_cache(maxsize=1)(load_splits)


def require_same_data(config: RunConfig, expected: str | None, data_dir: Path | None) -> Splits:
    """The config's data, whose digest must be the expected one, for a run that is to be trained here.

    Raises:
        BadInputError: it is not, or the config has more threads than this process may have.
    """
    require_threads(config.threads)
    data = load_cached_splits(config.dataset, config.device, data_dir)
    if data.digest != expected:
        raise BadInputError(
            "dataset",
            config.dataset.name,
            f"has digest {data.digest}",
            expected=f"{expected}, the run's own",
            next_step=how_to_restore(config.dataset),
        )
    return data


def how_to_restore(dataset: AnyDatasetConfig) -> str:
    """What to do where a dataset is another than before."""
    if isinstance(dataset, OwnDatasetConfig):
        return f"restore what its function reads; where it is not the same each time, {REPEATABLE}"
    return "name the folder with that data with `data_dir`"


@contextlib.contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Have torch compute on so many threads within the block: a mean over images depends on it in its last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
