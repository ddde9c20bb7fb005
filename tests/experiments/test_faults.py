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
from harness.tracking.connection import connect, tracking_uri
from harness.tracking.read import latest_sweep, read_artifact, read_sweep
from tests import tiny
from tests.metrics import assert_whole
from tests.servers import MlflowServer, free_port

pytestmark = pytest.mark.slow


def stopped_by_signal(started, number, text="epoch "):
    """Send one signal to the whole process group, as a terminal does, and return the printed text."""
    started.wait_for(text)
    started.signal_group(number)
    return started.end_with(130)


def test_a_sweep_survives_a_killed_coordinator_ctrl_c_once_or_twice_and_sigterm(
    assert_nothing_lost, sweep, harness, harness_json, project
):
    first = sweep()
    first.wait_for("epoch ", times=2)
    first.signal(signal.SIGSTOP)  # or it would end while the next two commands start
    running = harness_json("status")
    assert running["process"].startswith(f"process {first.pid} on ")
    assert len(running["workers"]) == 2
    assert running["seconds_left"] > 0
    refused = sweep()
    printed = refused.end_with(2)
    assert f"is being run by process {first.pid} on {os.uname().nodename}" in printed
    workers = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    psutil.wait_procs(workers, timeout=60)
    assert not any(worker.is_running() for worker in workers)
    stopped = harness_json("status")
    assert (stopped["process"], stopped["resumable"]) == (None, True)
    assert "stopped; `harness sweep tiny` resumes it" in harness("status").stdout

    (journal,) = Path(".harness").glob("sweeps/*/optuna.journal")
    with journal.open("a") as file:
        file.write('{"op_code": 4, "torn')

    printed = stopped_by_signal(sweep(), signal.SIGINT)
    assert "finishing the slices in flight" in printed
    assert "run the same command again to resume" in printed
    assert "report: " in printed

    twice = sweep()
    twice.wait_for("epoch ")
    twice.signal_group(signal.SIGINT)
    twice.wait_for("press Ctrl-C again to stop at once")
    assert "report: " not in stopped_by_signal(twice, signal.SIGINT)

    stopped_by_signal(sweep(), signal.SIGTERM)
    sweep().end_with(0)
    assert_nothing_lost()


def test_a_sweep_survives_one_killed_worker_and_then_all(assert_nothing_lost, sweep):
    started = sweep(TINY_ANEW="yes")
    for epochs, count in ((2, 1), (6, 2)):
        started.wait_for("epoch ", times=epochs)
        for worker in workers_of(started.pid)[:count]:
            worker.kill()
    started.end_with(0)
    assert_nothing_lost()


def workers_of(pid):
    """The worker processes: children of the coordinator, or of the server that forks them."""
    children = {child: " ".join(child.cmdline()) for child in psutil.Process(pid).children()}
    servers = [child for child, command in children.items() if "forkserver" in command]
    spawned = [child for child, command in children.items() if "spawn_main" in command]
    workers = [*spawned, *(worker for server in servers for worker in server.children())]
    assert len(workers) == 2
    return workers


@pytest.fixture
def server(project, monkeypatch):
    """An MLflow server, which is where the sweep is tracked."""
    server = MlflowServer(project, f"sqlite:///{project / 'server.db'}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    server.start()
    yield server
    server.kill()


def test_a_sweep_survives_a_tracking_server_unavailable_for_a_minute(assert_nothing_lost, sweep, server):
    started = sweep()
    started.wait_for("epoch ", times=2)
    server.kill()
    away = time.monotonic()
    started.wait_for("the tracking store is unavailable")
    started.wait_for("epoch ", times=10)  # training goes on
    time.sleep(max(0.0, away + 60 - time.monotonic()))
    server.start()
    started.wait_for("the tracking store is available again")
    started.end_with(0)
    assert_nothing_lost()
    for run in read_sweep(latest_sweep())[1]:
        rows = connect(tracking_uri()).get_metric_history(run.run_id, METRIC_NAMES["train_loss"])
        assert [row.step for row in rows] == list(range(1, len(rows) + 1)), "as they came, in order"


def test_a_sweep_stops_without_its_tracking_server_and_can_be_resumed(assert_nothing_lost, sweep, server):
    started = sweep(TINY_PATIENCE="3")
    started.wait_for("epoch ", times=2)
    server.kill()
    printed = started.end_with(1)
    assert "the tracking store was unavailable for 3 s" in printed
    assert "run the same command again to resume" in printed
    sweep().end_with(2)  # nothing begins while it can't be reached
    server.start()
    sweep().end_with(0)
    assert_nothing_lost()


def test_a_sweep_survives_a_database_locked_by_another_process(assert_nothing_lost, sweep, project):
    started = sweep()
    started.wait_for("epoch ", times=2)
    with contextlib.closing(sqlite3.connect(project / "mlflow.db", timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        started.wait_for("epoch ", times=6)
        started.wait_for("the tracking store is unavailable")
        other.execute("ROLLBACK")
    started.end_with(0)
    assert_nothing_lost()


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


def test_a_sweep_survives_a_full_disk_while_writing_state_journal_and_report(
    assert_nothing_lost, sweep, project, small_disk, harness_started
):
    full_for_states = sweep()
    full_for_states.wait_for("epoch ", times=2)
    small_disk.fill()
    printed = full_for_states.end_with(1)
    assert "No space left on device" in printed
    small_disk.make_room()

    (folder,) = (project / ".harness" / "sweeps").iterdir()
    shutil.move(folder / "runs", project / "states")  # where there is room
    (folder / "runs").symlink_to(project / "states")
    full_for_the_journal = sweep()
    full_for_the_journal.wait_for("epoch ", times=2)
    small_disk.fill()
    printed = full_for_the_journal.end_with(1)
    assert "No space left on device" in printed
    small_disk.make_room()

    sweep().end_with(0)
    assert_nothing_lost()
    page = project / ".harness" / "reports" / latest_sweep() / "report.html"
    written = page.read_bytes()
    small_disk.fill()
    printed = harness_started("report", module="tests.tiny").end_with(1)
    assert "No space left on device" in printed
    assert page.read_bytes() == written
    small_disk.make_room()


def test_a_sweep_survives_a_clock_set_back_by_an_hour(assert_nothing_lost, sweep, harness_json):
    stopped_by_signal(sweep(), signal.SIGINT, text="[5.")
    earlier = latest_sweep()
    sweep(TINY_CLOCK="-3600").end_with(0)
    assert_nothing_lost()
    assert latest_sweep() == earlier
    again = sweep("--fresh", "--json", TINY_CLOCK="-7200")
    again.end_with(0)
    assert latest_sweep() != earlier
    assert_nothing_lost()
    _, children = read_sweep(latest_sweep())
    seconds = [value for run in children for value in run.history[METRIC_NAMES["train_seconds"]].values()]
    assert all(0 < value < 600 for value in seconds)
    assert harness_json("status")["sweep_id"] == latest_sweep()


def test_a_sweep_with_eight_workers_survives_the_ui_and_repeated_reports(sweep, harness_started, harness_json):
    ui = harness_started("ui", "--port", str(free_port()), module="tests.ui")
    ui.wait_for("Application startup complete")
    # --async, or no more than one trial of a study at a time; images and units, so that it lasts for several reports
    started = sweep("--workers", "8", "--async", TINY_IMAGES="900", TINY_HIDDEN="1000")
    started.wait_for("epochs done")
    busy, reports = [], 0
    while started.running:
        report = harness_started("report", module="tests.tiny")
        while report.running:  # look often: between two slices one of the eight is idle for a moment
            busy.append(sum(at is not None for at in harness_json("status").get("workers", ())))
        report.end_with(0)
        reports += 1
    printed = started.end_with(0)
    assert max(busy) == 8
    assert reports > 1
    assert "tracking store is unavailable" not in printed + ui.printed.read_text()
    assert "locked" not in printed + ui.printed.read_text()
    assert_whole(latest_sweep(), tiny.definition().total_epochs)
    assert b"Not complete" not in read_artifact(latest_sweep(), "report/report.html")
    ui.signal_group(signal.SIGTERM)
