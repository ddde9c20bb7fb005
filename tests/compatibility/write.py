"""Writes what a later version must be able to read: a project's folder as the code of this checkout leaves it.

`data/<commit>.tar.xz` holds the folder of a person who has ended a run and a sweep, stopped another run and had
another sweep killed, with what the commands printed then (`printed.json`). `data/<commit>.json` holds the texts and
hashes of configs and definitions. `data/4d2a786.*` were written by that commit, the last one before the packages were
divided into folders.

To make another set, at a commit whose code in `harness/`, `studies/`, `reports/` and `experiments/` is as committed:

    python tests/compatibility/write.py

The tests beside this file read every set that is in `data/`; a set is never written anew by another commit.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGES = ("harness", "studies", "reports", "experiments")
COMMAND = (sys.executable, "-c", "from experiments.cli import main; main()")
PAUSE = "0.02"  # seconds of a forward pass, of which an epoch has 14
# what a person can do without: what is drawn or computed anew, and what belongs to a process
LEFT_OUT = {"report", "reports", "matplotlib", "torchinductor", "__pycache__", "lock", "holder", "mlflow.lock"}


def main() -> None:
    commit = _commit()
    data = HERE / "data"
    data.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        shutil.copytree(HERE / "project", project, ignore=shutil.ignore_patterns("__pycache__"))
        printed = write_project(project)
        (project / "printed.json").write_text(json.dumps(printed, indent=1), encoding="utf-8")
        _compact(project / "mlflow.db")
        _pack(project, data / f"{commit}.tar.xz")
    text = json.dumps({"runs": run_texts(), "sweeps": sweep_texts()}, indent=1)
    (data / f"{commit}.json").write_text(text + "\n", encoding="utf-8")


def write_project(project: Path) -> dict[str, Any]:
    """Run and stop what is to be read later; return what the commands printed, and the ids of what was stopped."""
    run = _json(project, "run", "bars_run.py")
    stopped_run = _stop(project, ("run", "bars_run.py", "--seed", "7"), "epoch 1/2", signal.SIGINT)
    sweep = _json(project, "sweep", "bars_ended.py", "--executor", "inline")
    printed = {
        "run": run,
        "stopped run": stopped_run,
        "sweep": sweep,
        "leaderboard": _json(project, "leaderboard"),
        "status": _json(project, "status"),
        "export": json.loads(_printed(project, "export", "--format", "json")),
    }
    _require_every_outcome(sweep)
    # in the second epoch of a trial, with the trials before it ended
    _stop(project, ("sweep", "bars_stopped.py", "--executor", "inline"), "trial 1 of adam  epoch 1/2", signal.SIGKILL)
    if not list(project.glob(".harness/sweeps/*/runs/*/*.checkpoint")):
        sys.exit("the sweep was not killed within a trial; run again")
    return printed | {"stopped sweep": _json(project, "status")}


def run_texts() -> list[dict[str, str]]:
    """Every kind of part of a run's config, with its fields' defaults, and what is off by default turned on."""
    from harness.config import OPTIMIZER_CONFIGS, RunConfig, canonical_json, config_hash, with_settings
    from harness.config.schedules import SCHEDULES

    kinds: list[dict[str, Any]] = [{}]
    kinds += [{"optimizer.name": name} for name in OPTIMIZER_CONFIGS]
    kinds += [{"schedule.name": name} for name in SCHEDULES] + [{"schedule.warm_up_epochs": 1.0}]
    kinds += [{"augmentation.rotation": 10.0}, {"label_smoothing": 0.1}, {"gradient_clip_norm": 1.0}, {"fused": True}]
    configs = [with_settings(RunConfig(), settings) for settings in kinds]
    return [{"hash": config_hash(config), "text": canonical_json(config)} for config in configs]


def sweep_texts() -> list[dict[str, str]]:
    """The definitions of the sweeps that are shipped with this version."""
    from experiments import catalog
    from harness.config import canonical_json, config_hash

    declared = [each for each in map(catalog.load, catalog.names()) if each.kind == "sweep"]
    return [{"hash": config_hash(each.sweep), "text": canonical_json(each.sweep)} for each in declared]


def _commit() -> str:
    """Return the first seven digits of this checkout's commit, which name the set."""
    git = ("git", "-C", str(ROOT))
    if subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *PACKAGES], check=False).returncode:
        sys.exit("the code differs from its commit: commit or stash the changes, then run again")
    return subprocess.run(
        [*git, "rev-parse", "--short=7", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    return kept | {"PYTHONPATH": str(ROOT), "BARS_PAUSE": "0"}


def _printed(project: Path, *arguments: str) -> str:
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, cwd=project, env=_environment(), check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _json(project: Path, *arguments: str) -> Any:
    return json.loads(_printed(project, *arguments, "--json"))


def _stop(project: Path, arguments: tuple[str, ...], at: str, number: signal.Signals) -> str:
    """Send the command that signal once it says `at`; return the last word that it said."""
    environment = _environment() | {"BARS_PAUSE": PAUSE}
    command = [*COMMAND, *arguments]
    with subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = io.StringIO()
        for line in process.stderr:
            said.write(line)
            if at in line:
                process.send_signal(number)
                break
        said.write(process.stderr.read())
    if process.returncode not in (130, -number):
        sys.exit(f"{' '.join(arguments)} was not stopped at {at!r}:\n{said.getvalue()}")
    resume = said.getvalue().partition("--resume ")[2]
    return resume.split()[0] if resume else ""


def _require_every_outcome(sweep: dict[str, Any]) -> None:
    """Exit with an error unless the sweep's trials have every outcome."""
    found = {outcome for each in sweep["optimizers"].values() for outcome in each["outcomes"]}
    if missing := {"completed", "pruned", "diverged", "failed"} - found:
        sys.exit(f"no trial of the sweep is {' or '.join(sorted(missing))}: change the ranges in project/")


def _compact(database: Path) -> None:
    """Reduce the database to one file without deleted rows."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("VACUUM")


def _pack(project: Path, archive: Path) -> None:
    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if LEFT_OUT & {*Path(member.name).parts} or member.name.endswith(("-wal", "-shm")):
            return None
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(archive, "w:xz", preset=9) as packed:
        packed.add(project, arcname=".", filter=kept)


if __name__ == "__main__":
    main()
