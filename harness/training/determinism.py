"""What makes a run repeat: threads, deterministic algorithms, devices, and the record of all that."""

import contextlib
import ctypes
import functools
import gc
import getpass
import importlib.metadata
import logging
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.utils.deterministic

from harness.config import RunConfig
from harness.errors import BadInputError, did_you_mean, without_password
from harness.provenance.variables import CUBLAS_WORKSPACE, numerical_variables
from harness.training.generators import kept_generators

logger = logging.getLogger(__name__)
GIT_SECONDS = 30.0  # that a run waits for git


@contextlib.contextmanager
def isolated(config: RunConfig) -> Iterator[None]:
    """Run a block under the config's threads and deterministic algorithms; restore generators and settings after.

    What a user's own code prints within goes to stderr: stdout is for the command's result. Python's collector of
    cycles waits until the end: a step leaves none, and looking for them takes 2% of it.
    """
    require_threads(config.threads)
    keep_freed_memory()
    collects = gc.isenabled()
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    if config.device.startswith("cuda"):
        os.environ.setdefault(*CUBLAS_WORKSPACE)
    devices = [config.device] if config.device != "cpu" else []
    with (
        torch.random.fork_rng(devices, device_type=config.device.split(":")[0] if devices else "cuda"),
        kept_generators(),
        contextlib.redirect_stdout(sys.stderr),
    ):
        torch.set_num_threads(config.threads)
        torch.use_deterministic_algorithms(True)
        # nothing of ours reads memory that it has not written, which is all that filling it would show
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        gc.disable()
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
            torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
            if collects:
                gc.enable()


@functools.cache
def keep_freed_memory() -> None:
    """Have glibc reuse the activation buffers of a step instead of unmapping them; does nothing elsewhere.

    The constants are M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of glibc's malloc.h; the last one's
    largest value is 32 MiB.
    """
    if libc := _glibc():
        for option, value in ((-1, 256 * 2**20), (-2, 16 * 2**20), (-3, 32 * 2**20)):
            libc.mallopt(option, value)


def give_back_freed_memory() -> None:
    """Have glibc return what was kept to the system; does nothing elsewhere.

    Buffers of another batch size would not fit between what stays, and so come on top of it.
    """
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def resolve_device(name: str) -> str:
    """`auto` as the best device there is; any other name checked against what is there.

    Raises:
        BadInputError: an unknown device, or one that this machine does not have.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available += ["cuda"] + [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        available.append("mps")
    if name == "auto":
        return next((device for device in ("cuda", "mps") if device in available), "cpu")
    if name not in available:
        raise BadInputError(
            f"device {name!r} is not available: {did_you_mean(name, ['auto', *available])}allowed here: auto, "
            f"{', '.join(available)}; choose one of these"
        )
    return name


def thread_limit() -> int | None:
    """How many threads OMP_THREAD_LIMIT allows this process; None where it says no such number."""
    said = os.environ.get("OMP_THREAD_LIMIT", "").strip()
    return int(said) if said.isdecimal() and int(said) > 0 else None


def require_threads(threads: int) -> None:
    """Refuse more threads than the environment allows: torch would wait for them for ever, deaf to signals.

    Raises:
        BadInputError: there are more.
    """
    limit = thread_limit()
    if limit is not None and threads > limit:
        raise BadInputError(
            f"threads {threads}: OMP_THREAD_LIMIT is {limit}, expected no more threads than that; "
            f"unset it, or set threads to {limit} in the config"
        )


def fast_settings(device: str) -> dict[str, Any]:
    """The `fast` profile: settings of a config that a device is at its fastest with, for other last bits.

    channels_last, and bfloat16 where the device multiplies it in its hardware. Fused optimizers on the CPU, where
    they were measured to gain.
    """
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        native = device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
    fused = {"fused": True} if device == "cpu" else {}
    return {"memory_format": "channels_last"} | fused | ({"precision": "bfloat16"} if native else {})


def determinism(device: str) -> str:
    """What a run on that device guarantees, in words."""
    if device == "cpu":
        return "bit-identical for the same torch build, instruction set and thread count"
    if device.startswith("cuda"):
        return "bit-identical for the same torch build and GPU; an operation that can't be is refused by name"
    return f"{device}: not bit-identical, torch has no deterministic algorithms for it"


@functools.cache
def environment() -> dict[str, Any]:
    """Where a run executes, as plain values: machine, interpreter, torch build, every installed distribution."""
    return {
        "argv": [without_password(word) for word in sys.argv],
        "user": _user(),
        "python": sys.version,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_features": _cpu_features(),
        "cpu_count": os.cpu_count(),
        "torch": torch.__version__,
        "torch_build": [line.strip() for line in torch.__config__.show().splitlines() if "CPU cap" not in line],
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "gpu_driver": _first_line(Path("/proc/driver/nvidia/version")),
        "variables": numerical_variables(os.environ),
        "packages": {
            distribution.name: distribution.version
            for distribution in sorted(importlib.metadata.distributions(), key=lambda d: d.name.lower())
        },
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name, or Windows' without USERNAME
        return "unknown"


def _cpu_features() -> dict[str, Any]:
    """Instruction sets and cache sizes, by which oneDNN chooses its kernels; not how many cores there are."""
    counts = ("cpu_name", "num_logical_cores", "num_physical_cores", "num_sockets")
    return {name: value for name, value in torch.cpu.get_capabilities().items() if name not in counts}


def _processor() -> str:
    """The CPU's model. `platform.processor` knows it on macOS and Windows, /proc/cpuinfo on Linux."""
    models = re.findall(r"^model name\s*: (.*)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    return models[0] if models else platform.processor() or platform.machine()


def _first_line(path: Path) -> str | None:
    return next(iter(_text(path).splitlines()), None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


@functools.cache
def git_commit_and_diff() -> tuple[str | None, str | None]:
    """The commit of the working folder and its uncommitted changes; (None, "") outside a repository.

    A commit or changes of which git says nothing within `GIT_SECONDS` are None, and so said.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        return commit and commit.strip(), _git("diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None, ""


def _git(*arguments: str) -> str | None:
    try:
        printed = subprocess.run(["git", *arguments], check=True, capture_output=True, timeout=GIT_SECONDS).stdout
    except subprocess.TimeoutExpired:
        command = " ".join(arguments)
        logger.warning("harness: `git %s` takes over %.0f s; what it says is not recorded", command, GIT_SECONDS)
        return None
    return printed.decode(errors="backslashreplace")  # a file that is not UTF-8 is no reason not to run
