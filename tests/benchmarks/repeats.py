"""The default sweep again with three other sets of seeds: whether its answers contradict each other."""

import json
import os
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.benchmarks.known_answers import COMMAND
from tests.contenders.record import markdown

REPEATS = (100, 200, 300)  # the first seed of each: of its searches, its split, its trials and, after it, its finals
STUDY = """from experiments.catalog import load_sweep
from harness.config import with_settings

declared = load_sweep("optimizers").sweep
sweep = declared.model_copy(
    update={{
        "seed": {first},
        "base": with_settings(declared.base, {{"seed": {first}, "dataset.split_seed": {first}}}),
        "final_seeds": tuple({first} + seed for seed in declared.final_seeds),
    }}
)
"""


def main() -> None:
    """the default sweep with three other sets of seeds: no pair is better one way, and better the other way"""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    shown: set[tuple[str, str]] = set()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(os.environ.get("FOLDER", scratch))  # in which a benchmark that was stopped goes on
        for first_seed in REPEATS:
            for verdict in _verdicts(folder, first_seed):
                better, worse = verdict["better"], verdict["worse"]
                if verdict["verdict"].startswith("better"):
                    shown.add((better, worse))
                first, second = sorted((better, worse))
                sign = 1 if better == first else -1
                text = f"{verdict['verdict']}, {sign * verdict['difference'] * 100:+.2f}"
                found[first, second].append(text)
    rows = [[f"{first} - {second}", *verdicts] for (first, second), verdicts in sorted(found.items())]
    print(markdown(["points", *(f"seeds from {each}" for each in REPEATS)], rows), flush=True)
    contradicted = {pair for pair in shown if pair[::-1] in shown}
    assert not contradicted, f"better both ways: {contradicted}"


def _verdicts(folder: Path, first_seed: int) -> list[dict[str, object]]:
    """Return what the repeat from that seed on says of each pair's accuracy."""
    study = folder / f"repeat_{first_seed}.py"
    study.write_text(STUDY.format(first=first_seed), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    command = [*COMMAND, "sweep", str(study), "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True)
    result = json.loads(done.stdout)
    print(f"{study.stem}: {' '.join(result['answer'])}", flush=True)
    return [each for each in result["verdicts"] if each["outcome"] == "accuracy"]
