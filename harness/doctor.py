"""Check this machine: find out what a run here would use, and what is wrong."""

import importlib.metadata
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from harness.config import DatasetConfig, FrozenModel, RunConfig
from harness.cut_off import CutOff, cut_off_runs
from harness.errors import BadInputError, HarnessError, RefusedError, without_password
from harness.paths import WORK_FOLDER, writable_folder
from harness.provenance.environment import environment, git_commit_and_diff
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.database import missing_file
from harness.training.data import load_splits
from harness.training.determinism import determinism, require_threads
from harness.training.devices import resolve_device

LEAST_FREE = 2 * 2**30  # bytes; the default sweep keeps about 150 MB


class Finding(FrozenModel):
    """Hold the result of one check. `advice` says what is wrong and what to do; None if nothing is wrong."""

    what: str
    found: str
    advice: str | None = None


def diagnose(next_step: Callable[[CutOff], str], data_dir: Path | None = None) -> list[Finding]:
    """Check device, threads, versions, data, tracking store, source and disk.

    `next_step` returns the advice for a run that was cut off.
    """
    here = environment()
    device = resolve_device("auto")
    names = ("torch", "torchvision", "mlflow", "optuna", "pandas")
    return [
        Finding(what="device", found=", ".join([device, *here["gpus"]])),
        Finding(what="determinism", found=determinism(device)),
        Finding(what="processor", found=f"{here['processor']}, {here['cpu_capability']}, {os.cpu_count()} cores"),
        _threads(),
        Finding(what="versions", found=", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)),
        _data(data_dir),
        *_store(next_step),
        _source(),
        _disk(),
    ]


def _threads() -> Finding:
    found = f"{torch.get_num_threads()} by default in torch; a run uses its config's"
    try:
        require_threads(RunConfig().threads)
    except BadInputError as error:
        return Finding(what="threads", found=found, advice=str(error))
    return Finding(what="threads", found=found)


def _source() -> Finding:
    commit, diff = git_commit_and_diff()
    changes = {None: ", with unknown changes", "": ""}.get(diff, ", with uncommitted changes")
    return Finding(what="source", found=f"commit {commit or 'none'}{changes}")


def _data(data_dir: Path | None) -> Finding:
    try:
        digest = load_splits(DatasetConfig(train_size=1, validation_size=0), "cpu", data_dir).digest
    except RefusedError as error:
        return Finding(what="data", found="mnist", advice=str(error))
    return Finding(what="data", found=f"mnist, digest {digest[:12]}")


def _store(next_step: Callable[[CutOff], str]) -> list[Finding]:
    """Check the tracking store, and list the runs in it that were cut off."""
    shown = without_password(tracking_uri())
    missing = missing_file(tracking_uri())
    try:
        writable_folder(WORK_FOLDER, "run in another folder")
        if missing and not os.access(next(each for each in missing.parents if each.exists()), os.W_OK):
            connect(tracking_uri())  # this raises the error that a run would meet
        found = cut_off_runs()
    except HarnessError as error:
        return [Finding(what="tracking store", found=shown, advice=str(error))]
    return [
        Finding(what="tracking store", found=f"{shown}{', which the first run creates' if missing else ''}"),
        *(Finding(what="cut off", found=f"{each.stage} {each.run_id}", advice=next_step(each)) for each in found),
    ]


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    advice = None if free >= LEAST_FREE else f"under {LEAST_FREE >> 30} GB: make room, or run in another folder"
    return Finding(what="free disk", found=f"{free / 2**30:.1f} GB", advice=advice)
