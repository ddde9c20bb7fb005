"""One run beside what people use for it: seconds an epoch, evaluation included, and how far the floor is."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.reproducibility import environment
from tests.mnist_folder import write_mnist

ROUNDS = 3
WORSE = 0.10  # by how much a ratio may fall below the baseline's
RESULT = Path("benchmarks.json")
TABLE = Path("benchmarks.md")
CONTENDERS = {
    "plain": ("plain", "0"),
    "plain, 1 loader": ("plain", "1"),
    "plain, 2 loaders": ("plain", "2"),
    "lightning": ("lightning", ""),
    "skorch": ("skorch", ""),
    "ours": ("ours", "float32"),
    "ours, fast": ("ours", "fast"),
    "floor, float32": ("floor", "float32"),
    "floor, bfloat16": ("floor", "bfloat16"),
}
LEAST = {  # times sooner than the plain loop, at the least
    "ours": 1.3,
    "ours, fast": 2.0,
}


def main() -> None:
    """a run against the plain loop, Lightning, skorch and the floor, interleaved; writes benchmarks.json and .md"""
    baseline = json.loads(Path(os.environ["BASELINE"]).read_text()) if os.environ.get("BASELINE") else None
    result = measure()
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    TABLE.write_text(table(result))
    print(TABLE.read_text())
    problems = too_slow(result) + (worse_than(baseline, result) if baseline else [])
    assert not problems, "\n".join(problems)


def measure() -> dict[str, Any]:
    """The epochs of every contender, each in a process of its own, all of them once a round."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    accuracies: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_mnist(Path(folder))
        for _ in range(ROUNDS):
            for name, (module, variant) in CONTENDERS.items():
                command = [sys.executable, "-W", "ignore", "-m", "tests.contenders", module, variant, folder, "1"]
                output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                (epoch,) = json.loads(output.splitlines()[-1])
                seconds[name].append(epoch["seconds"])
                accuracies[name] = epoch["accuracy"]
    return {"machine": machine(), "seconds": seconds, "accuracies": accuracies, "ratios": ratios(seconds)}


def machine() -> dict[str, Any]:
    here = environment()
    return {key: here[key] for key in ("processor", "cpu_count", "cpu_capability", "torch")} | {
        "system": platform.system()
    }


def ratios(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """How many times sooner than the plain loop each is, of medians."""
    plain = statistics.median(seconds["plain"])
    return {name: plain / statistics.median(times) for name, times in seconds.items()}


def table(result: Mapping[str, Any]) -> str:
    here = result["machine"]
    lines = [
        f"{here['processor']}, {here['cpu_count']} cores, {here['cpu_capability']}, torch {here['torch']}; "
        f"an epoch of 60,000 images at batch 32 on 2 threads and its evaluation; median of {ROUNDS} rounds.",
        "",
        "| | seconds | least to most | times plain | right of 10,000 |",
        "|---|---|---|---|---|",
    ]
    for name, times in result["seconds"].items():
        accuracy = result["accuracies"][name]
        right = "" if accuracy is None else f"{accuracy * 10_000:.0f}"
        lines.append(
            f"| {name} | {statistics.median(times):.1f} | {min(times):.1f} to {max(times):.1f} "
            f"| {result['ratios'][name]:.2f} | {right} |"
        )
    return "\n".join(lines) + "\n"


def too_slow(result: Mapping[str, Any]) -> list[str]:
    """Where ours is not as far ahead as it must be."""
    found = [
        f"{name} is {result['ratios'][name]:.2f} times as fast as plain: at least {least} must hold"
        for name, least in LEAST.items()
        if result["ratios"][name] < least
    ]
    ahead = max(result["ratios"][name] for name in ("lightning", "skorch"))
    return [*found, *(["lightning or skorch is ahead of ours"] if ahead >= result["ratios"]["ours"] else [])]


def worse_than(baseline: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    """Which ratios are worse than the baseline's by more than is allowed."""
    return [
        f"{name}: {ratio:.2f} times plain, {baseline['ratios'][name]:.2f} in the baseline"
        for name, ratio in result["ratios"].items()
        if name in baseline["ratios"] and ratio < baseline["ratios"][name] * (1 - WORSE)
    ]
