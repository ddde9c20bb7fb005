"""The workflow runs what there is: for the oldest Python that is admitted, by targets and markers that exist."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
JOBS = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))["jobs"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def commands(job):
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def test_all_tests_run_on_the_oldest_supported_python_and_on_a_newer_one():
    oldest, newest = JOBS["linux"]["strategy"]["matrix"]["python"]
    assert f">={oldest}" == PROJECT["project"]["requires-python"]
    assert tuple(map(int, oldest.split("."))) < tuple(map(int, newest.split(".")))
    (command,) = commands("linux")
    assert (ROOT / command).is_file()


def test_light_tests_run_on_macos_and_windows():
    assert JOBS["light"]["strategy"]["matrix"]["system"] == ["macos-latest", "windows-latest"]
    markers = {each.partition(":")[0] for each in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    left_out = re.fullmatch(r'python -m pytest -m "not (\w+) and not (\w+)"', commands("light")[-1])
    assert {*left_out.groups()} <= markers


def test_the_lowest_versions_are_tested_by_a_target_of_the_makefile():
    (command,) = commands("lowest")
    target = command.removeprefix("make ")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
