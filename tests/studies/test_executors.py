"""A killed worker is noticed at any moment; a call and a result arrive whole or not at all."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import BrokenExecutor

import psutil
import pytest
import torch

from harness.training.determinism import keep_freed_memory
from studies.executors.local import LocalExecutor, begin_locally
from studies.executors.resources import Asked, Resources

pytestmark = pytest.mark.posix

LARGE = bytes(64 * 2**20)  # whose way to the coordinator takes a while


def return_large() -> bytes:
    return LARGE


def sleep_with(_: bytes) -> None:
    time.sleep(1000)


def return_with_no_room() -> bytes:
    import resource  # which Windows lacks

    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))  # a file's first MiB is written, then an OSError comes
    return LARGE


def die_while_the_result_is_sent() -> bytes:
    threading.Thread(target=die_while_sending, args=[threading.get_ident()]).start()
    return LARGE


def die_while_sending(thread: int) -> None:
    while sys._current_frames()[thread].f_code.co_name not in ("_send", "write_bytes"):  # into a pipe, into a file
        time.sleep(0.0001)
    os.kill(os.getpid(), signal.SIGKILL)


def use_and_free() -> None:
    keep_freed_memory()
    torch.cat([torch.ones(2**21) for _ in range(20)])  # 8 MiB each, less than glibc would unmap


def resident() -> int:
    return psutil.Process().memory_info().rss


def end_with(error: type[BaseException]) -> None:
    raise error("enough")


def fail() -> None:
    raise ValueError("of the function")


@pytest.mark.parametrize(
    ("asked", "workers"),
    [
        (Asked(), os.cpu_count()),
        (Asked(resources=Resources(cpus=2)), os.cpu_count()),
        (Asked(resources=Resources(gpus=1)), 1),
        (Asked(resources=Resources(gpus=0.25)), 4),
        (Asked(resources=Resources(gpus=2)), 1),
        (Asked(workers=3, resources=Resources(gpus=1)), 3),
    ],
)
def test_there_is_a_worker_for_each_core_or_for_each_share_of_a_gpu(asked, workers):
    assert begin_locally(asked)[1] == workers


@pytest.fixture
def executor():
    executor = LocalExecutor(2)
    # the pool watches a worker that it starts from the next result on
    for call in [executor.submit(time.sleep, 0.5) for _ in range(2)]:
        call.result(timeout=60)
    yield executor
    executor.shutdown(cancel_futures=True)


@pytest.mark.slow
def test_a_worker_killed_while_it_sends_a_large_result_breaks_the_executor(executor):
    for future in [executor.submit(die_while_the_result_is_sent), executor.submit(time.sleep, 1000)]:
        with pytest.raises(BrokenExecutor):
            future.result(timeout=60)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_call_that_ends_its_process_has_an_error_instead_of_waiting_for_ever(executor, error):
    with pytest.raises(RuntimeError, match=rf"the code ended its process \({error.__name__}: enough\)"):
        executor.submit(end_with, error).result(timeout=60)
    assert executor.submit(abs, -1).result(timeout=60) == 1


def test_a_killed_worker_ends_the_others_so_that_the_pool_waits_for_none(executor):
    workers = [psutil.Process(worker) for worker in executor._processes]
    assert len(workers) == 2
    workers[0].kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    with pytest.raises(BrokenExecutor):
        executor.submit(abs, -1).result(timeout=60)


@pytest.mark.slow
def test_workers_killed_while_large_calls_wait_for_them_are_replaced_by_any_python(monkeypatch):
    executor = LocalExecutor(1)
    executor.submit(abs, -1).result(timeout=60)
    # as in Python 3.11.2, whose pool leaves the pipe to its workers open when they have died
    monkeypatch.setattr(executor._call_queue._reader, "close", lambda: None)
    calls = [executor.submit(sleep_with, LARGE) for _ in range(3)]
    time.sleep(1)  # the worker has the first, and the pool sends the second
    ends = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True}, daemon=True)
    ends.start()
    ends.join(timeout=60)
    assert not ends.is_alive()
    assert all(call.done() for call in calls)


@pytest.mark.parametrize("function", [return_large, return_with_no_room])
def test_a_large_result_arrives_whole_even_on_a_full_disk_and_leaves_no_file(tmp_path, monkeypatch, function):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    executor = LocalExecutor(1)
    (folder,) = tmp_path.glob("harness-results-*")
    assert executor.submit(function).result(timeout=60) == LARGE
    assert list(folder.iterdir()) == []
    executor.shutdown()
    assert not folder.exists()


def test_an_error_of_a_call_is_raised_and_leaves_the_workers_usable(executor):
    with pytest.raises(ValueError, match="of the function"):
        executor.submit(fail).result(timeout=60)
    assert executor.submit(abs, -1).result(timeout=60) == 1


@pytest.mark.slow
def test_garbage_collection_does_not_copy_the_memory_that_workers_share():
    # in a process of its own: that of the tests has a server already
    code = """import gc; from studies.executors.local import LocalExecutor; executor = LocalExecutor(1)
print(executor.submit(gc.get_freeze_count).result(timeout=60)); executor.shutdown()"""
    frozen = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert int(frozen) > 100_000


def test_a_worker_returns_freed_memory_between_slices():
    executor = LocalExecutor(1)
    before = executor.submit(resident).result(timeout=60)
    executor.submit(use_and_free).result(timeout=60)
    assert executor.submit(resident).result(timeout=60) - before < 80 * 2**20
    executor.shutdown()


def test_workers_use_one_thread_outside_their_slices(executor):
    assert executor.submit(torch.get_num_threads).result(timeout=60) == 1
