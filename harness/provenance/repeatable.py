"""Check that a user's own dataset function returns the same images and labels in another process."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from harness.config import OwnDatasetConfig, canonical_json, validated
from harness.errors import BadInputError, RefusedError
from harness.training.data import load_splits

REPEATABLE = "seed its generators, and sort what it reads"
CHILD = (
    f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {__name__} import write_answer; write_answer()"
)
OTHER_SEED = 1  # for torch's generator and Python's hashes: unlike the seeds of this process


@functools.lru_cache(maxsize=1)  # as the data are cached, too
def require_repeatable(dataset: OwnDatasetConfig, digest: str) -> None:
    """Call the function again in a fresh process, with the same current folder and import path.

    Raises:
        BadInputError: the function returns different data there, or fails.
    """
    again = _in_a_fresh_process(dataset)
    if "error" in again:
        raise BadInputError(
            "dataset",
            dataset.name,
            f"fails in a second process ({again['error']}), so it would fail in a worker too",
            expected="a function that needs only its arguments and files",
            next_step="correct the function",
        )
    if again["digest"] != digest:
        raise BadInputError(
            "dataset",
            dataset.name,
            f"returns other data in a second process (digest {again['digest'][:12]}, here {digest[:12]})",
            expected="a function that returns the same data in every process",
            next_step=REPEATABLE,
        )


def _in_a_fresh_process(dataset: OwnDatasetConfig) -> dict[str, str]:
    """Return the answer of `write_answer` in a fresh process. Hide what the dataset function prints."""
    hash_seed = OTHER_SEED + (os.environ.get("PYTHONHASHSEED") == str(OTHER_SEED))
    with tempfile.TemporaryDirectory(prefix="harness-dataset-") as folder:
        written = Path(folder) / "answer.json"
        ended = subprocess.run(
            [sys.executable, "-P", "-c", CHILD, json.dumps(sys.path), str(written), str(torch.get_num_threads())],
            input=canonical_json(dataset).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
            start_new_session=True,  # so that Ctrl-C reaches this process alone
        )
        if not written.exists():
            return {"error": f"it ended with exit code {ended.returncode}"}
        found: dict[str, str] = json.loads(written.read_text(encoding="utf-8"))
        return found


def write_answer() -> None:
    """Write the digest of the data in this process, or the error, into the file that the arguments name."""
    _, _, written, threads = sys.argv
    torch.set_num_threads(int(threads))
    torch.manual_seed(OTHER_SEED)  # else torch's constant default seed would hide a function that sets no seed
    try:
        config = validated(OwnDatasetConfig, json.loads(sys.stdin.buffer.read()))
        found = {"digest": load_splits(config, "cpu").digest}
    except Exception as error:
        kind = "" if isinstance(error, RefusedError) else f"{type(error).__name__}: "
        found = {"error": " ".join(f"{kind}{error}".split())}
    Path(written).write_text(json.dumps(found), encoding="utf-8")
