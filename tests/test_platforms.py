"""What only one system has steps aside on the others."""

import ast
import ctypes
import platform
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.provenance import environment as recorded
from harness.run import train_slice
from harness.training import determinism
from studies.executors import local
from studies.executors.pool import open_pool

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "studies", "reports", "experiments")
# fmt: off
POSIX = {
    "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty",
    "fork", "forkpty", "getpgid", "getuid", "killpg", "mkfifo", "setpgid", "setsid", "sched_getaffinity", "uname",
    "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "AF_UNIX",
}
# fmt: on


def names_used(path):
    """Modules that are imported, whole or in part, and attributes of whatever."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        yield from parts_imported(node)
        if isinstance(node, ast.Attribute):
            yield node.attr


def names_imported(path):
    """Modules that are imported with the file itself, whole or in part."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        yield from parts_imported(node)


def parts_imported(node):
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (part for alias in node.names for part in alias.name.split("."))
    if isinstance(node, ast.ImportFrom):
        yield from (node.module or "").split(".")


def test_the_packages_use_nothing_that_windows_lacks():
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    used = {path.relative_to(ROOT).as_posix(): POSIX & set(names_used(path)) for path in paths}
    assert {path: names for path, names in used.items() if names} == {}


def test_tests_import_modules_that_windows_lacks_only_when_they_run():
    """Make sure that all tests can be collected on Windows."""
    paths = sorted((ROOT / "tests").rglob("*.py"))
    at_the_top = {path.relative_to(ROOT).as_posix(): POSIX & set(names_imported(path)) for path in paths}
    assert {path: names for path, names in at_the_top.items() if names} == {}


def test_memory_settings_are_left_unchanged_without_glibc(monkeypatch):
    def load(name):
        raise OSError(f"there is no library {name}")

    monkeypatch.setattr(ctypes, "CDLL", load)
    with pytest.raises(OSError, match="there is no library"):
        determinism.give_back_freed_memory()
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))  # as on macOS and Windows
    determinism.keep_freed_memory.__wrapped__()
    determinism.give_back_freed_memory()


def test_the_processor_has_a_name_without_proc(monkeypatch):
    monkeypatch.setattr(recorded, "_text", lambda _: "")
    assert recorded._processor() == (platform.processor() or platform.machine())


@pytest.mark.slow
def test_workers_spawned_without_a_fork_server_give_the_same_results(config, data, monkeypatch):
    monkeypatch.setattr(local, "sys", SimpleNamespace(platform="darwin"))
    with open_pool("local", 1, data) as pool:
        assert pool.executor._mp_context.get_start_method() == "spawn"
        there = pool.executor.submit(train_slice, config, None, ("validation",), data).result()
        (worker,) = pool.executor._processes.values()
        worker.terminate()  # as the pool does where another worker has died
        worker.join(timeout=60)
        assert not worker.is_alive()
    assert there.state == train_slice(config, None, ("validation",), data).state


def test_windows_gets_at_most_the_workers_that_its_process_pool_allows(monkeypatch):
    monkeypatch.setattr(local, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(local.os, "cpu_count", lambda: 96)
    with open_pool("local") as pool:
        assert pool.workers == 61
