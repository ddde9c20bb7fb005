"""Make runs repeatable: set threads and deterministic algorithms, and say what a device guarantees."""

import contextlib
import ctypes
import functools
import gc
import os
import platform
import sys
from collections.abc import Iterator

import torch
import torch.utils.deterministic

from harness.config import RunConfig
from harness.errors import BadInputError
from harness.training.generators import kept_generators

CUBLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # one of the two values that make cuBLAS deterministic


@contextlib.contextmanager
def isolated(config: RunConfig) -> Iterator[None]:
    """Run a block with the config's threads and deterministic algorithms; restore generators and settings afterwards.

    Text that the user's own code prints goes to stderr, because stdout is for the command's result. Python's garbage
    collector is off within the block: a step leaves no cycles, and looking for them would take 2% of its time.

    Raises:
        BadInputError: the config has more threads than the environment allows.
    """
    require_threads(config.threads)
    keep_freed_memory()
    collects = gc.isenabled()
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    devices = [config.device] if config.device != "cpu" else []
    with (
        torch.random.fork_rng(devices, device_type=config.device.split(":")[0] if devices else "cuda"),
        kept_generators(),
        _one_arithmetic(config.device),
        contextlib.redirect_stdout(sys.stderr),
    ):
        torch.set_num_threads(config.threads)
        torch.use_deterministic_algorithms(True)
        # filling would only reveal reads of uninitialised memory, which our code does not do
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


@contextlib.contextmanager
def _one_arithmetic(device: str) -> Iterator[None]:
    """Make a GPU compute in full float32, with deterministic kernels that are not chosen by their measured speed.

    TensorFloat-32, which torch lets cuDNN use by default, has a mantissa of 10 bits instead of 23.
    """
    if not device.startswith("cuda"):
        yield
        return
    os.environ.setdefault(*CUBLAS_WORKSPACE)
    tf32 = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with (
            torch.cuda.device(device),
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = tf32


@functools.cache
def keep_freed_memory() -> None:
    """Make glibc reuse the activation buffers of a step instead of unmapping them; do nothing without glibc.

    The constants are M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of glibc's malloc.h. The largest value of
    M_MMAP_THRESHOLD is 32 MiB.
    """
    if libc := _glibc():
        for option, value in ((-1, 256 * 2**20), (-2, 16 * 2**20), (-3, 32 * 2**20)):
            libc.mallopt(option, value)


def give_back_freed_memory() -> None:
    """Make glibc return its free memory to the system; do nothing without glibc.

    Buffers of another batch size would not fit into the kept memory, and would add to it.
    """
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def thread_limit() -> int | None:
    """Return how many threads OMP_THREAD_LIMIT allows this process; None if it is not set to a positive number."""
    said = os.environ.get("OMP_THREAD_LIMIT", "").strip()
    return int(said) if said.isdecimal() and int(said) > 0 else None


def require_threads(threads: int) -> None:
    """Check that the environment allows so many threads: torch would wait for more forever, and ignore Ctrl-C.

    Raises:
        BadInputError: OMP_THREAD_LIMIT is lower.
    """
    limit = thread_limit()
    if limit is not None and threads > limit:
        raise BadInputError(
            "threads",
            threads,
            f"is more than OMP_THREAD_LIMIT, which is {limit}",
            expected=f"at most {limit}",
            next_step=f"unset OMP_THREAD_LIMIT, or set threads to {limit} in the config",
        )


def determinism(device: str) -> str:
    """Return in words which reproducibility a device guarantees."""
    if device == "cpu":
        return "bit-identical for the same torch build, instruction set and thread count"
    if device.startswith("cuda"):
        return "bit-identical for the same torch build and GPU; an operation that can't be is refused by name"
    return f"{device}: not bit-identical, torch has no deterministic algorithms for it"
