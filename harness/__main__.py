"""Run the `harness` command as `python -m harness`; the command is in a higher package, found by its entry point."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts the current folder first on the path. Move it to the end, so that its files hide no other module
    sys.path += [str(Path(__file__).parents[1]), *([] if sys.flags.safe_path else [sys.path.pop(0)])]
    from importlib.metadata import distribution

    commands = distribution("optimizer-harness").entry_points.select(group="console_scripts")
    sys.exit(commands["harness"].load()())
