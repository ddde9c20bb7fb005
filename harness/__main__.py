"""`python -m harness` is the `harness` command, which a package above this one has: found as it is installed."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # our packages, and then the current folder, which is first here and last for the command: it hides no module
    sys.path += [str(Path(__file__).parents[1]), *([] if sys.flags.safe_path else [sys.path.pop(0)])]
    from importlib.metadata import distribution

    commands = distribution("optimizer-harness").entry_points.select(group="console_scripts")
    sys.exit(commands["harness"].load()())
