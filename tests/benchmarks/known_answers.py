"""The sweeps whose answer is known, in full."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = [sys.executable, "-c", "from experiments.cli import main; main()"]
ANSWERS: dict[str, tuple[set[str], ...]] = {  # which optimizers may be shown to be better than another
    "null": (set(),),
    "planted": ({"adam"},),
    "lucky": (set(), {"adam"}),
}


def main() -> None:
    """Adam is not better than itself, is better than Adam at a ruined learning-rate range, and no luck beats it"""
    with tempfile.TemporaryDirectory() as folder:
        for name, allowed in ANSWERS.items():
            done = subprocess.run(
                [*COMMAND, "sweep", name, "--json"],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(Path.cwd())},
                stdout=subprocess.PIPE,
                check=True,
            )
            found = json.loads(done.stdout)
            print(f"{name}: {' '.join(found['answer'])}", flush=True)
            verdicts = [each for each in found["verdicts"] if each["outcome"] == "accuracy"]
            shown = {each["better"] for each in verdicts if each["verdict"].startswith("better")}
            assert shown in allowed, verdicts
