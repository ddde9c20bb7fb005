"""A worker that is killed is noticed, whatever it was at; a result comes whole or not at all."""

import contextlib
import os
import signal
import tempfile
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from studies.executors import LocalExecutor

LARGE = bytes(64 * 2**20)  # whose way to the coordinator takes a while


def return_large(begun: Path) -> bytes:
    begun.write_text(str(os.getpid()))
    return LARGE


def return_with_no_room(path: Path) -> bytes:
    def no_room(**keywords):
        raise OSError(28, "No space left on device")

    tempfile.NamedTemporaryFile = no_room
    return return_large(path)


def fail() -> None:
    raise ValueError("of the function")


@pytest.fixture
def executor():
    executor = LocalExecutor(2)
    # the pool watches a worker that it starts from the next result on
    for call in [executor.submit(time.sleep, 0.5) for _ in range(2)]:
        call.result(timeout=60)
    yield executor
    executor.shutdown(cancel_futures=True)


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("harness-results-*"))


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.02, 0.05, 0.1])
def test_a_worker_killed_while_it_sends_a_large_result_breaks_the_executor(tmp_path, executor, seconds):
    begun = tmp_path / "begun"
    future, other = executor.submit(return_large, begun), executor.submit(time.sleep, 1000)
    while not (begun.exists() and begun.read_text()):
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(int(begun.read_text()), signal.SIGKILL)
    with pytest.raises(BrokenExecutor):
        other.result(timeout=60)
    with contextlib.suppress(BrokenExecutor):  # or it came before
        assert future.result(timeout=60) == LARGE


@pytest.mark.parametrize("function", [return_large, return_with_no_room])
def test_a_large_result_comes_whole_with_or_without_room_on_the_disk(tmp_path, executor, function):
    assert executor.submit(function, tmp_path / "begun").result(timeout=60) == LARGE


def test_what_a_call_raises_is_raised_and_leaves_the_workers_usable(executor):
    with pytest.raises(ValueError, match="of the function"):
        executor.submit(fail).result(timeout=60)
    assert executor.submit(abs, -1).result(timeout=60) == 1


def test_no_file_of_a_result_is_left(tmp_path):
    before = folders()
    executor = LocalExecutor(2)
    (folder,) = folders() - before
    futures = [executor.submit(return_large, tmp_path / "begun") for _ in range(2)]
    assert [future.result(timeout=60) for future in futures] == [LARGE, LARGE]
    assert list(folder.iterdir()) == []
    executor.shutdown()
    assert not folder.exists()
