"""Whatever breaks while a sweep runs, it ends with what an undisturbed one ends with: no row lost, none doubled."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from harness.records import METRIC_NAMES
from harness.tracking import MemoryTracker, connect, latest_sweep, read_artifact, read_sweep, tracking_uri
from studies.executors import InlineExecutor, WorkerPool
from studies.sweep import run_sweep
from tests import tiny
from tests.metrics import sweep_numbers, tracked_sweep_numbers
from tests.servers import MlflowServer, free_port


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The numbers of `tiny`, run in this process from its beginning to its end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    data = tiny.write_data(folder)
    here = Path.cwd()
    os.chdir(folder)
    tracker = MemoryTracker()
    run_sweep("tiny", tiny.definition(), tracker, WorkerPool(InlineExecutor(), 1, data))
    os.chdir(here)
    return sweep_numbers(tracker)


@pytest.fixture
def sweep(harness_started, project):
    """Starts the sweep, the same one every time."""
    tiny.write_data(project)
    return lambda *more, **environment: harness_started(
        *tiny.ARGUMENTS, "--workers", "2", *more, module="tests.tiny", **environment
    )


def assert_ends_as(undisturbed, sweep, *more, **environment):
    code, printed = sweep(*more, **environment).end()
    assert code == 0, printed
    assert "Traceback" not in printed
    assert_is(undisturbed)


def assert_is(undisturbed):
    """The latest sweep has the numbers of an undisturbed one, and each epoch of each run once."""
    sweep_id = latest_sweep()
    assert tracked_sweep_numbers(sweep_id) == undisturbed
    parent, children = read_sweep(sweep_id)
    assert {run.status for run in (parent, *children)} == {"FINISHED"}
    client = connect(tracking_uri())
    for run in children:
        rows = client.get_metric_history(run.run_id, METRIC_NAMES["train_loss"])
        assert sorted(row.step for row in rows) == list(range(1, len(rows) + 1))
    spent = sum(len(run.history[METRIC_NAMES["train_loss"]]) for run in children)
    assert spent == tiny.definition().total_epochs


def stopped_by_signal(started, number, text="epoch "):
    """The exit code and what was printed, after one signal to the whole process group, as a terminal sends it."""
    started.wait_for(text)
    os.killpg(started.process.pid, number)
    code, printed = started.end()
    assert "Traceback" not in printed
    return code, printed


def test_coordinator_killed_then_ctrl_c_once_twice_and_sigterm(undisturbed, sweep, harness, harness_json, project):
    first = sweep()
    first.wait_for("epoch ", times=2)
    first.process.send_signal(signal.SIGSTOP)  # or it would end while the next two commands start
    running = harness_json("status")
    assert running["process"].startswith(f"process {first.process.pid} on ")
    assert len(running["workers"]) == 2
    assert running["seconds_left"] > 0
    refused = sweep()
    code, printed = refused.end()
    assert code == 2
    assert f"is being run by process {first.process.pid} on {os.uname().nodename}" in printed
    workers = psutil.Process(first.process.pid).children(recursive=True)
    first.process.kill()
    first.end()
    psutil.wait_procs(workers, timeout=60)
    assert not any(worker.is_running() for worker in workers)
    stopped = harness_json("status")
    assert (stopped["process"], stopped["resumable"]) == (None, True)
    assert "stopped; `harness sweep tiny` goes on with it" in harness("status").stdout

    (journal,) = Path(".harness").glob("sweeps/*/optuna.journal")
    with journal.open("a") as file:
        file.write('{"op_code": 4, "torn')

    code, printed = stopped_by_signal(sweep(), signal.SIGINT)
    assert code == 130
    assert "finishing the epochs in flight" in printed
    assert "the same command goes on" in printed

    twice = sweep()
    twice.wait_for("epoch ")
    os.killpg(twice.process.pid, signal.SIGINT)
    twice.wait_for("again ends at once")
    assert stopped_by_signal(twice, signal.SIGINT)[0] == 130

    assert stopped_by_signal(sweep(), signal.SIGTERM)[0] == 130
    assert_ends_as(undisturbed, sweep)


def test_workers_killed_one_and_then_all(undisturbed, sweep):
    started = sweep()
    for epochs, count in ((2, 1), (6, 2)):
        started.wait_for("epoch ", times=epochs)
        children = psutil.Process(started.process.pid).children()
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        for worker in workers[:count]:
            worker.kill()
    code, printed = started.end()
    assert code == 0, printed
    assert_is(undisturbed)


@pytest.fixture
def server(project, monkeypatch):
    """An MLflow server, which is where the sweep is tracked."""
    server = MlflowServer(project, f"sqlite:///{project / 'server.db'}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    server.start()
    yield server
    server.kill()


def test_tracking_server_away_for_a_while(undisturbed, sweep, server):
    started = sweep()
    started.wait_for("epoch ", times=2)
    server.kill()
    started.wait_for("the tracking store is away")
    started.wait_for("epoch ", times=10)  # training goes on
    server.start()
    started.wait_for("the tracking store is back")
    code, printed = started.end()
    assert code == 0, printed
    assert_is(undisturbed)
    for run in read_sweep(latest_sweep())[1]:
        rows = connect(tracking_uri()).get_metric_history(run.run_id, METRIC_NAMES["train_loss"])
        assert [row.step for row in rows] == list(range(1, len(rows) + 1)), "as they came, in order"


def test_tracking_server_gone_for_good(undisturbed, sweep, server):
    started = sweep(TINY_PATIENCE="3")
    started.wait_for("epoch ", times=2)
    server.kill()
    code, printed = started.end()
    assert (code, "Traceback" in printed) == (1, False), printed
    assert "the tracking store was away for 3 s" in printed
    assert "the same command goes on" in printed
    assert sweep().end()[0] == 2  # nothing begins while it can't be reached
    server.start()
    assert_ends_as(undisturbed, sweep)


def test_database_locked_by_another_process(undisturbed, sweep, project):
    started = sweep()
    started.wait_for("epoch ", times=2)
    with sqlite3.connect(project / "mlflow.db", timeout=60, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        started.wait_for("epoch ", times=6)
        started.wait_for("the tracking store is away")
        other.execute("ROLLBACK")
    code, printed = started.end()
    assert code == 0, printed
    assert_is(undisturbed)


@pytest.fixture
def small_disk(project):
    """`.harness` on a disk of 40 MB. Fills it, and makes room again."""
    if os.geteuid():
        pytest.skip("needs root, to mount a small disk")
    disk = project / ".harness"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)], check=True)
    yield SmallDisk(disk)
    subprocess.run(["umount", str(disk)], check=True)


class SmallDisk:
    def __init__(self, folder: Path) -> None:
        self.ballast = folder / "ballast"

    def fill(self) -> None:
        with contextlib.suppress(OSError), self.ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def make_room(self) -> None:
        self.ballast.unlink()


def test_disk_full_while_writing_state_journal_and_report(undisturbed, sweep, project, small_disk, harness):
    full_for_states = sweep()
    full_for_states.wait_for("epoch ", times=2)
    small_disk.fill()
    code, printed = full_for_states.end()
    assert (code, "Traceback" in printed) == (1, False), printed
    assert "No space left on device" in printed
    small_disk.make_room()

    (folder,) = (project / ".harness" / "sweeps").iterdir()
    shutil.move(folder / "runs", project / "states")  # where there is room
    (folder / "runs").symlink_to(project / "states")
    full_for_the_journal = sweep()
    full_for_the_journal.wait_for("epoch ", times=2)
    small_disk.fill()
    code, printed = full_for_the_journal.end()
    assert (code, "Traceback" in printed) == (1, False), printed
    assert "No space left on device" in printed
    small_disk.make_room()

    assert_ends_as(undisturbed, sweep)
    page = project / ".harness" / "reports" / latest_sweep() / "report.html"
    written = page.read_bytes()
    small_disk.fill()
    full_for_the_report = harness("report")
    assert (full_for_the_report.returncode, "Traceback" in full_for_the_report.stderr) == (1, False)
    assert "No space left on device" in full_for_the_report.stderr
    assert page.read_bytes() == written
    small_disk.make_room()


def test_wall_clock_set_back_an_hour(undisturbed, sweep, harness_json):
    stopped_by_signal(sweep(), signal.SIGINT, text="[5/")
    earlier = latest_sweep()
    assert_ends_as(undisturbed, sweep, TINY_CLOCK="-3600")
    assert latest_sweep() == earlier
    again = sweep("--fresh", "--json", TINY_CLOCK="-7200")
    assert again.end()[0] == 0
    assert latest_sweep() != earlier
    assert_is(undisturbed)
    _, children = read_sweep(latest_sweep())
    seconds = [value for run in children for value in run.history[METRIC_NAMES["train_seconds"]].values()]
    assert all(0 < value < 600 for value in seconds)
    assert harness_json("status")["sweep_id"] == latest_sweep()


def test_eight_workers_beside_the_ui_and_a_report_again_and_again(undisturbed, sweep, harness_started, harness):
    ui = harness_started("ui", "--port", str(free_port()))
    ui.wait_for("Application startup complete")
    started = sweep("--workers", "8")
    started.wait_for("epoch ")
    reports = 0
    while started.process.poll() is None:
        reported = harness("report")
        assert reported.returncode == 0, reported.stderr
        reports += 1
        time.sleep(1)
    code, printed = started.end()
    assert code == 0, printed
    assert reports > 1
    assert "away" not in printed + ui.printed.read_text()
    assert "locked" not in printed + ui.printed.read_text()
    assert_is(undisturbed)
    assert b"Not complete" not in read_artifact(latest_sweep(), "report/report.html")
    os.killpg(ui.process.pid, signal.SIGTERM)
