"""The script that checks and measures on a GPU completes; the test runs it on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

SCRIPT = Path(__file__).parent / "gpu.sh"


@pytest.mark.slow
@pytest.mark.posix
def test_the_gpu_script_runs_tests_measures_and_prints_its_results(tmp_path):
    chosen = {"REHEARSE": "1", "PYTHON": sys.executable, "OUT": str(tmp_path)}
    done = subprocess.run([SCRIPT], env=os.environ | chosen, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    suite = ElementTree.parse(tmp_path / "tests.xml").getroot()[0]
    assert int(suite.attrib["tests"]) > 5
    assert (suite.attrib["failures"], suite.attrib["errors"], suite.attrib["skipped"]) == ("0", "0", "0")
    measured = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["measured"]
    assert {name: len(those) for name, those in measured.items()} == {
        "plain": 1,
        "ours, eager": 1,
        "ours": 1,
        "ours, 2 at once": 2,
    }
    assert measured["plain"][0]["accuracy"] == measured["ours"][0]["accuracy"], "not the chapter's run"
    assert "| ours, 2 at once |" in done.stdout
