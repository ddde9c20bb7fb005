"""The two sweeps whose answer is known, in full."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = [sys.executable, "-c", "from experiments.cli import main; main()"]


def main() -> None:
    """Adam is tied with itself, and better than Adam at a ruined learning-rate range"""
    with tempfile.TemporaryDirectory() as folder:
        for name, expected in (("null", "Tied: "), ("planted", "adam is the best, ")):
            done = subprocess.run(
                [*COMMAND, "sweep", name, "--json"],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(Path.cwd())},
                stdout=subprocess.PIPE,
                check=True,
            )
            answer = json.loads(done.stdout)["answer"]
            print(f"{name}: {' '.join(answer)}")
            assert answer[0].startswith(expected), answer[0]
