"""The sweeps whose answer is known, in full."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RISK = 0.04  # of a false claim, as blocks are judged
COMMAND = [sys.executable, "-c", "from experiments.cli import main; main()"]


def main() -> None:
    """Adam is not better than itself, better at a usual learning-rate range than at a ruined one, and beaten by no luck"""
    with tempfile.TemporaryDirectory() as folder:
        for name, better in (("null", set()), ("planted", {"adam"}), ("lucky", {"adam", None})):
            done = subprocess.run(
                [*COMMAND, "sweep", name, "--json"],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(Path.cwd())},
                stdout=subprocess.PIPE,
                check=True,
            )
            found = json.loads(done.stdout)
            print(f"{name}: {' '.join(found['answer'])}")
            shown = {each["better"] for each in found["differences"] if each["p"] < RISK}
            assert shown == better or (None in better and shown <= better), found["verdicts"]
