"""Describe the environment of a run, for its record: machine, interpreter, packages, Git commit."""

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
GIT_SECONDS = 30.0  # timeout of a Git command


@functools.cache
def environment() -> dict[str, Any]:
    """Return the environment as plain values: machine, interpreter, torch build, every installed distribution."""
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
    """Return the version of each installed distribution, by name. Parse each metadata file once: it is slow."""
    parsed = [each.metadata for each in importlib.metadata.distributions()]
    return {each["Name"]: each["Version"] for each in sorted(parsed, key=lambda each: each["Name"].lower())}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a nameless user in a container, or Windows without USERNAME
        return "unknown"


def _cpu_features() -> dict[str, Any]:
    """Return instruction sets and cache sizes, by which oneDNN selects kernels; without the numbers of cores."""
    counts = ("cpu_name", "num_logical_cores", "num_physical_cores", "num_sockets")
    return {name: value for name, value in torch.cpu.get_capabilities().items() if name not in counts}


def _processor() -> str:
    """Return the CPU's model name: from /proc/cpuinfo on Linux, from `platform.processor` elsewhere."""
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
    """Return the commit of the current folder and the diff of uncommitted changes; (None, "") outside a repository.

    The commit or the diff is None, with a warning, if Git does not answer within `GIT_SECONDS`.
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
        logger.warning("harness: `git %s` takes over %.0f s; its answer is not recorded", command, GIT_SECONDS)
        return None
    return printed.decode(errors="backslashreplace")  # a file that is not UTF-8 must not stop the run
