"""What benchmarks measured, in `benchmarks.json` and as tables in `benchmarks.md`, and whether it must be better."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.provenance.environment import environment

RESULT = Path("benchmarks.json")
TABLE = Path("benchmarks.md")
WORSE = 0.10  # by how much a ratio may fall below the baseline's


def contend(module: str, variant: str, folder: Path, epochs: int) -> list[dict[str, Any]]:
    """Run a contender in a separate process and return its results."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.contenders", module, variant, str(folder), str(epochs)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    measured: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
    return measured


def record(
    benchmark: str, measured: Mapping[str, Any], ratios: Mapping[str, float], least: Mapping[str, float], table: str
) -> None:
    """Put a benchmark's result beside the others'. `ratios` say how many times better than another each is.

    Raises:
        AssertionError: a ratio is below the `least` that must hold, or worse than in the file that BASELINE names.
    """
    before = os.environ.get("BASELINE")
    baseline = json.loads(Path(before).read_text(encoding="utf-8")) if before else {}
    results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    results[benchmark] = {"machine": machine(), "measured": measured, "ratios": ratios, "table": table}
    RESULT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    tables = [f"## {name}\n\n{each['machine']}\n\n{each['table']}\n" for name, each in sorted(results.items())]
    TABLE.write_text("\n".join(tables), encoding="utf-8")
    print(table, flush=True)
    problems = too_low(ratios, least) + worse_than(baseline.get(benchmark, {}).get("ratios", {}), ratios)
    assert not problems, "\n".join(problems)


def machine() -> str:
    """Describe the machine of the measurement."""
    here = environment()
    return (
        f"{here['processor']}, {here['cpu_count']} cores, {here['cpu_capability']}, {platform.system()}, "
        f"torch {here['torch']}"
    )


def too_low(ratios: Mapping[str, float], least: Mapping[str, float]) -> list[str]:
    """Describe each ratio that is below its limit."""
    return [
        f"{name}: {ratios[name]:.2f}, at least {must:.2f} must hold"
        for name, must in least.items()
        if ratios[name] < must
    ]


def worse_than(baseline: Mapping[str, float], ratios: Mapping[str, float]) -> list[str]:
    """Describe each ratio that is worse than the baseline's by more than `WORSE`."""
    return [
        f"{name}: {ratio:.2f}, {baseline[name]:.2f} in the baseline"
        for name, ratio in ratios.items()
        if name in baseline and ratio < baseline[name] * (1 - WORSE)
    ]


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))
