"""What makes a run repeat: its threads, deterministic algorithms, kept memory; and what a device guarantees."""

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

CUBLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # one of the two with which cuBLAS is deterministic


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
    devices = [config.device] if config.device != "cpu" else []
    with (
        torch.random.fork_rng(devices, device_type=config.device.split(":")[0] if devices else "cuda"),
        kept_generators(),
        _one_arithmetic(config.device),
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


@contextlib.contextmanager
def _one_arithmetic(device: str) -> Iterator[None]:
    """Have a GPU multiply float32 as float32, by kernels that repeat and are not chosen by how fast they were.

    TensorFloat-32, which torch lets cuDNN use by default, has 10 bits of mantissa of float32's 23.
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


def thread_limit() -> int | None:
    """Return how many threads OMP_THREAD_LIMIT lets this process have; None where it says no such number."""
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
            "threads",
            threads,
            f"is over OMP_THREAD_LIMIT, which is {limit}",
            expected="no more threads than that",
            next_step=f"unset it, or set threads to {limit} in the config",
        )


def determinism(device: str) -> str:
    """What a run on that device guarantees, in words."""
    if device == "cpu":
        return "bit-identical for the same torch build, instruction set and thread count"
    if device.startswith("cuda"):
        return "bit-identical for the same torch build and GPU; an operation that can't be is refused by name"
    return f"{device}: not bit-identical, torch has no deterministic algorithms for it"
