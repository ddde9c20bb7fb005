"""Where a run executes, as it is recorded with it: machine, interpreter, packages, commit."""

import functools
import getpass
import importlib.metadata
import logging
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from harness.errors import without_password
from harness.provenance.variables import numerical_variables

logger = logging.getLogger(__name__)
GIT_SECONDS = 30.0  # that a run waits for git


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
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    """Return the version of each installed distribution, by name; to parse what one says of itself takes a while."""
    parsed = [each.metadata for each in importlib.metadata.distributions()]
    return {each["Name"]: each["Version"] for each in sorted(parsed, key=lambda each: each["Name"].lower())}


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
